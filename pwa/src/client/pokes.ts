/**
 * Pokes. A stream of server-sent events says what the newest head is; one we have not pulled means: sync now. It is
 * read by `fetch`, for an EventSource sends no bearer.
 *
 * A lost poke costs at most a heartbeat, and a lost stream nothing but time: the loop looks by itself as well.
 */
import { Backoff } from "./backoff";
import { ClientError, HeldError, TroubleError } from "./errors";
import { Reader } from "./json";
import type { Options } from "./options";
import type { Runtime } from "./runtime";
import type { Transport } from "./transport";

/** One server-sent event. */
export interface LiveEvent {
  readonly kind: string;
  readonly data: string;
}

/** What a stream's events mean to the loop. */
export interface News {
  /** Whether a head is one that was not pulled yet. */
  isNews(head: string): Promise<boolean>;
  /** There is something new. */
  tell(): void;
}

/** Makes events of a stream's text (WHATWG HTML, 9.2.6): fields until an empty line; comments are ignored. */
export class EventParser {
  private rest = "";
  private kind = "message";
  private data: string[] = [];

  /** The events that end in this piece of text. */
  take(text: string): LiveEvent[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): LiveEvent[] {
    if (line === "") return this.end();
    const [name = "", ...more] = line.split(":");
    const value = more.join(":").replace(/^ /, "");
    if (name === "event") this.kind = value;
    else if (name === "data") this.data.push(value);
    return [];
  }

  private end(): LiveEvent[] {
    const ended = this.data.length === 0 ? [] : [{ kind: this.kind, data: this.data.join("\n") }];
    this.kind = "message";
    this.data = [];
    return ended;
  }
}

/** The head an event tells, if it tells one. */
export function headOf(event: LiveEvent): string | null {
  try {
    const reader = Reader.of(JSON.parse(event.data), "event");
    return reader.maybe("head", reader.text);
  } catch {
    return null;
  }
}

export class Pokes {
  private readonly backoff: Backoff;

  constructor(
    private readonly transport: Transport,
    private readonly options: Options,
    private readonly runtime: Runtime,
    private readonly news: News,
  ) {
    this.backoff = new Backoff(options, runtime.random);
  }

  /** Listen until `signal` says stop, connecting again after every loss. */
  async listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let askedS: number | null = null;
      try {
        await this.connection(signal);
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        if (error instanceof TroubleError) askedS = error.retryAfterS; // the loop's own requests tell how things are
        if (error instanceof HeldError) this.news.tell(); // the loop finds out, and says so
      }
      await this.runtime.sleep(this.backoff.nextS(askedS), signal);
    }
  }

  private async connection(signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const response = await this.transport.live(AbortSignal.any([signal, silence.signal]));
    const stream = response.body?.pipeThrough(new TextDecoderStream());
    const reader = stream?.getReader();
    const parser = new EventParser();
    while (reader !== undefined) {
      const timer = setTimeout(() => silence.abort(), this.options.liveSilenceS * 1000);
      const piece = await reader.read().catch(() => ({ done: true, value: undefined }) as const);
      clearTimeout(timer);
      if (piece.done) return;
      for (const event of parser.take(piece.value)) await this.hear(event);
    }
  }

  private async hear(event: LiveEvent): Promise<void> {
    this.backoff.reset();
    const head = headOf(event);
    if (head === null || (await this.news.isNews(head))) this.news.tell(); // without one, such as `signed_out`
  }
}
