/**
 * The sync loop: a state machine that brings the queue up and the changes down, and knows when to leave it.
 *
 *     idle ──start──▶ syncing ──done──▶ idle
 *                       │  ├──trouble──▶ backing_off ──start──▶ syncing
 *                       │  ├──signed_out──▶ held_signed_out ──released──▶ idle
 *                       └──└──update_needed──▶ held_update_needed ──released──▶ idle
 *
 * The table `TRANSITIONS` is the machine; what is not in it does not happen. Only the outcome of requests moves it:
 * what the device thinks of its network is not asked. A held loop sends nothing until somebody releases it; its queue
 * waits.
 */
import { Backoff } from "./backoff";
import {
  BatchTooLargeError,
  ClientError,
  HeldError,
  NumberingError,
  StoreTooNewError,
  TroubleError,
  UnexpectedAnswerError,
  UpdateNeededError,
} from "./errors";
import type { Local } from "./local";
import type { Options } from "./options";
import type { Runtime } from "./runtime";
import type { Transport } from "./transport";
import type { LoopState, Moment, Taken } from "./types";
import type { Outgoing } from "./wire";

export type LoopEvent = "start" | "done" | "trouble" | "signed_out" | "update_needed" | "released";

export const TRANSITIONS: { readonly [State in LoopState]: { readonly [Event in LoopEvent]?: LoopState } } = {
  idle: { start: "syncing" },
  backing_off: { start: "syncing" },
  syncing: { done: "idle", trouble: "backing_off", signed_out: "held_signed_out", update_needed: "held_update_needed" },
  held_signed_out: { released: "idle" },
  held_update_needed: { released: "idle" },
};

const MOST_RENUMBERINGS = 5;

/** What the loop tells: where it stands, and what it took in. */
export interface Watcher {
  moment(moment: Moment): void;
  taken(taken: Taken): void;
}

export class SyncLoop {
  moment: Moment = { state: "idle", error: null };
  /** The server keeps its pages from this app until it is updated. */
  tooOld = false;
  private readonly backoff: Backoff;
  private batch: number;
  private renumberings = 0;
  private behind = false; // something was pushed in the middle of a round, whose target does not cover it
  private turn: Promise<unknown> = Promise.resolve();
  private waker = new AbortController();
  private hurry = new AbortController();
  private freed = new AbortController();

  constructor(
    private readonly local: Local,
    private readonly transport: Transport,
    private readonly options: Options,
    private readonly runtime: Runtime,
    private readonly watcher: Watcher,
  ) {
    this.backoff = new Backoff(options, runtime.random);
    this.batch = options.batch;
  }

  /** There is something new, here or there: do not wait for the interval. Backing off goes on. */
  wake(): void {
    this.waker.abort();
  }

  /** A person asks, or the network seems to be back: do not wait at all. */
  now(): void {
    this.hurry.abort();
    this.wake();
  }

  /** Somebody signed in, or updated the app: try again. */
  release(): void {
    if (this.isHeld()) this.enter("released");
    this.freed.abort();
    this.now();
  }

  /** Kept when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.turn;
  }

  /** One exchange. Throws TroubleError, HeldError, BatchTooLargeError (already halved: call again). */
  syncOnce(signal?: AbortSignal): Promise<Taken> {
    return this.inTurn(() => this.guarded(signal));
  }

  /** Sync until the queue is empty and what it did has come back, through any trouble. Throws HeldError. */
  drain(signal?: AbortSignal): Promise<void> {
    return this.inTurn(async () => {
      while (signal?.aborted !== true) {
        try {
          if (await this.finished(await this.guarded(signal))) return;
        } catch (error) {
          if (error instanceof TroubleError) await this.leaveAlone(error, signal);
          else if (!(error instanceof BatchTooLargeError)) throw error;
        }
      }
    });
  }

  /** Sync until `signal` says stop: at once, when woken, and at every interval. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.waker = new AbortController();
      this.freed = new AbortController();
      try {
        await this.drain(signal);
        await this.pause(signal);
      } catch (error) {
        if (error instanceof HeldError) await aborted(AbortSignal.any([signal, this.freed.signal]));
        else if (error instanceof ClientError)
          await this.pause(signal); // of the store: the next time may go better
        else throw error;
      }
    }
  }

  /** Wait for the interval or for somebody's call, whichever comes first. */
  private pause(signal: AbortSignal): Promise<void> {
    return this.runtime.sleep(this.options.intervalS, AbortSignal.any([signal, this.waker.signal]));
  }

  private async leaveAlone(error: TroubleError, signal?: AbortSignal): Promise<void> {
    this.hurry = new AbortController();
    const either = signal === undefined ? this.hurry.signal : AbortSignal.any([signal, this.hurry.signal]);
    await this.runtime.sleep(this.backoff.nextS(error.retryAfterS), either);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  /** One exchange with its transitions. A held loop throws what holds it. */
  private async guarded(signal?: AbortSignal): Promise<Taken> {
    if (this.isHeld() && this.moment.error !== null) throw this.moment.error;
    this.enter("start");
    try {
      const taken = await this.exchange(signal);
      this.backoff.reset();
      this.enter("done");
      this.watcher.taken(taken);
      return taken;
    } catch (error) {
      throw this.leave(error);
    }
  }

  /** Move to where an error leads. */
  private leave(error: unknown): unknown {
    const held = error instanceof StoreTooNewError ? new UpdateNeededError(error.message, { cause: error }) : error;
    if (held instanceof TroubleError) this.enter("trouble", held);
    else if (held instanceof UpdateNeededError) this.enter("update_needed", held);
    else if (held instanceof HeldError) this.enter("signed_out", held);
    else this.enter("done", held instanceof ClientError ? held : null);
    return held;
  }

  private async exchange(signal?: AbortSignal): Promise<Taken> {
    const outgoing = await this.local.outgoing(this.batch, this.options.bodyBytes);
    const sentMs = this.runtime.clockMs();
    try {
      const answer = await this.transport.sync(outgoing, signal);
      const took = { sentMs, receivedMs: this.runtime.clockMs() };
      return await this.advance(outgoing, await this.local.take(outgoing, answer, took));
    } catch (error) {
      if (error instanceof NumberingError) {
        return this.advance(outgoing, await this.local.takeNumbering(outgoing, error));
      }
      if (error instanceof BatchTooLargeError) throw this.halved(outgoing.mutations.length, error);
      throw error;
    }
  }

  /** Notice a server that answers without ever getting on. Throws UnexpectedAnswerError. */
  private async advance(outgoing: Outgoing, taken: Taken): Promise<Taken> {
    this.tooOld = taken.tooOld;
    this.renumberings = taken.renumbered ? this.renumberings + 1 : 0;
    if (this.renumberings > MOST_RENUMBERINGS) {
      throw new UnexpectedAnswerError("the queue was numbered anew again and again");
    }
    const pushed = outgoing.mutations.length > 0;
    if (pushed && taken.verdicts === 0 && !taken.renumbered) {
      throw new UnexpectedAnswerError("the mutations got no verdict");
    }
    const nothing = taken.verdicts === 0 && taken.changes === 0 && taken.more && !taken.renumbered && !taken.tooOld;
    if (nothing && (await this.local.meta()).cursor === outgoing.cursor) {
      throw new UnexpectedAnswerError("there is said to be more, and it does not come");
    }
    this.behind = (this.behind || pushed) && !outgoing.startsRound;
    return taken;
  }

  private halved(sent: number, error: BatchTooLargeError): ClientError {
    if (sent <= 1) {
      return new UnexpectedAnswerError("even the smallest request is too large", {
        reason: error.reason,
        cause: error,
      });
    }
    this.batch = Math.max(1, Math.floor(sent / 2));
    return error;
  }

  private async finished(taken: Taken): Promise<boolean> {
    const { pending } = await this.local.counts();
    if (pending === 0) this.batch = this.options.batch; // what was too large has left
    return pending === 0 && !taken.more && !this.behind;
  }

  private isHeld(): boolean {
    return this.moment.state.startsWith("held");
  }

  private enter(event: LoopEvent, error: ClientError | null = null): void {
    const state = TRANSITIONS[this.moment.state][event];
    if (state === undefined) throw new Error(`no ${event} from ${this.moment.state}`);
    this.moment = { state, error };
    this.watcher.moment(this.moment);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
}
