/**
 * The team: the tabs that share a database. One leads and runs the loop; the others tell it what they want, and hear
 * how things stand. Each tells the others what it changed.
 */
import type { SyncLoop } from "./loop";
import type { Pokes } from "./pokes";
import type { Message, Tabs } from "./tabs";
import type { LoopState, Moment, Touched } from "./types";

/** Where the loop stands, wherever it runs, in words that can be sent. */
export interface Standing {
  readonly state: LoopState;
  readonly code: string | null;
  readonly reason: string | null;
  readonly tooOld: boolean;
}

/** What this tab does with what it hears. */
export interface Told {
  changed(touched: Touched): void;
  moved(): void;
}

export class Team {
  /** Whether this tab runs the loop for all tabs. */
  leads = false;
  private elsewhere: Standing | null = null;
  private readonly deaf: () => void;

  constructor(
    private readonly tabs: Tabs,
    private readonly loop: SyncLoop,
    private readonly pokes: Pokes,
    private readonly told: Told,
  ) {
    this.deaf = tabs.hear((message) => this.heard(message));
  }

  /** Run the loop, and listen for pokes, once it is this tab's turn to lead, until `signal` says stop. */
  start(signal: AbortSignal): void {
    void this.tabs.lead((until) => this.lead(until), signal);
    this.listenToPage(signal);
    this.tabs.tell({ kind: "ask" });
  }

  standing(): Standing {
    return this.leads || this.elsewhere === null ? this.here(this.loop.moment) : this.elsewhere;
  }

  /** There is something new: whoever leads need not wait for the interval. */
  wake(): void {
    this.loop.wake();
    this.pass("wake");
  }

  /** Somebody signed in, or updated the app: whoever leads tries again. */
  release(): void {
    this.loop.release();
    this.pass("release");
  }

  /** This tab changed something. */
  changed(touched: Touched): void {
    this.tabs.tell({ kind: "changed", touched });
  }

  /** The loop of this tab moved. */
  moved(moment: Moment): void {
    if (this.leads) this.tabs.tell({ kind: "moment", standing: this.here(moment) });
  }

  close(): void {
    this.deaf();
    this.tabs.close();
  }

  private async lead(signal: AbortSignal): Promise<void> {
    this.leads = true;
    this.moved(this.loop.moment);
    this.told.moved();
    try {
      await Promise.all([this.loop.run(signal), this.pokes.listen(signal)]);
    } finally {
      this.leads = false;
    }
  }

  /** A page that is shown again, or whose network came back, does not wait for the interval. */
  private listenToPage(signal: AbortSignal): void {
    if (typeof document === "undefined") return;
    const hurry = () => {
      this.loop.now();
      this.pass("now");
    };
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry(), { signal });
    addEventListener("online", hurry, { signal }); // a hint that is tried; what the device thinks decides nothing
  }

  private pass(kind: string): void {
    if (!this.leads) this.tabs.tell({ kind });
  }

  private heard(message: Message): void {
    if (message.kind === "changed") this.told.changed(message["touched"] as Touched);
    else if (message.kind === "moment" && !this.leads) {
      this.elsewhere = message["standing"] as Standing;
      this.told.moved();
    } else if (this.leads) this.asked(message.kind);
  }

  /** What another tab wants of the one that leads. */
  private asked(kind: string): void {
    if (kind === "ask") this.moved(this.loop.moment);
    else if (kind === "wake") this.loop.wake();
    else if (kind === "now") this.loop.now();
    else if (kind === "release") this.loop.release();
  }

  private here({ state, error }: Moment): Standing {
    return { state, code: error?.code ?? null, reason: error?.reason ?? null, tooOld: this.loop.tooOld };
  }
}
