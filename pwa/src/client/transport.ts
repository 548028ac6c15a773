/**
 * One request, one answer: what crosses the network, and what each way of not getting an answer means.
 *
 * Trouble is told from refusal by the problem's `code`: a hotel's sign-in page or a proxy may answer with any status,
 * and must neither sign anybody out nor stop a queue for good. A 401 is not believed before the bearer was renewed
 * once.
 */
import type { Bearer } from "./door";
import {
  BatchTooLargeError,
  ForeignQueueError,
  ForkedError,
  GapError,
  RefusedError,
  SignedOutError,
  TenantGoneError,
  UnavailableError,
  UnexpectedAnswerError,
  UnreachableError,
  UpdateNeededError,
  type ClientError,
} from "./errors";
import type { Options } from "./options";
import { randomId, type Runtime } from "./runtime";
import { encodeRequest, parseAnswer, parseProblem, type Answer, type Outgoing, type Problem } from "./wire";

const LATER: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
const HELD = { 401: SignedOutError, 403: RefusedError, 410: TenantGoneError } as const;
const UNAUTHENTICATED = 401;
const ENCODER = new TextEncoder();

/** An answer as it came. `body` is empty where the connection broke while it was read. */
export interface Answered {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | null;
}

/** A stream that was opened, or why it was not. */
interface Opened extends Omit<Answered, "retryAfter"> {
  readonly response?: Response;
  readonly retryAfter?: string | null;
}

export class Transport {
  constructor(
    private readonly url: string,
    private readonly bearer: Pick<Bearer, "token" | "renew">,
    private readonly options: Options,
    private readonly runtime: Runtime,
  ) {}

  /** Send and wait. Throws TroubleError, BatchTooLargeError, NumberingError, HeldError. */
  async sync(outgoing: Outgoing, signal?: AbortSignal): Promise<Answer> {
    const text = encodeRequest(outgoing, this.options);
    const body = ENCODER.encode(text);
    const isLarge = body.length > this.options.gzipOverBytes && "CompressionStream" in globalThis;
    const headers = { "Content-Type": "application/json", ...(isLarge ? { "Content-Encoding": "gzip" } : {}) };
    const init = { method: "POST", headers, body: isLarge ? await gzipped(body) : body };
    const response = await this.authorized((token) => this.exchange("/v1/sync", init, token, signal));
    if (response.status !== 200) throw this.refusal(response);
    return parseAnswer(response.body);
  }

  /** Open the stream of pokes; the caller reads it. Throws TroubleError, HeldError. */
  async live(signal: AbortSignal): Promise<Response> {
    const init = { method: "GET", headers: { Accept: "text/event-stream" } };
    const opened = await this.authorized(async (token): Promise<Opened> => {
      const response = await this.fetch("/v1/live", init, token, signal);
      return response.status === 200 ? { status: 200, body: "", response } : await readResponse(response);
    });
    if (opened.response === undefined) throw this.refusal({ retryAfter: null, ...opened });
    return opened.response;
  }

  /** The error that an answer other than 200 means. */
  refusal(response: Answered): ClientError {
    return refusalOf(response, parseProblem(response.body), this.runtime.clockMs());
  }

  /** Ask with the bearer, and once more with a renewed one where the server itself does not take it. */
  private async authorized<R extends Pick<Answered, "status" | "body">>(
    send: (token: string) => Promise<R>,
  ): Promise<R> {
    const token = await this.bearer.token();
    const first = await send(token);
    return isSignedOut(first) ? send(await this.bearer.renew(token)) : first;
  }

  private async exchange(path: string, init: RequestInit, token: string, signal?: AbortSignal): Promise<Answered> {
    const limit = AbortSignal.timeout(this.options.timeoutS * 1000);
    const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    return readResponse(await this.fetch(path, init, token, either));
  }

  private async fetch(path: string, init: RequestInit, token: string, signal: AbortSignal): Promise<Response> {
    const headers = {
      ...(init.headers as { readonly [name: string]: string }),
      Authorization: `Bearer ${token}`,
      "X-Request-ID": randomId(this.runtime),
    };
    const more = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" } as const;
    return reached(() => this.runtime.fetch(this.url + path, { ...init, ...more }));
  }
}

/** What of a response is read. Throws UnreachableError where it breaks off. */
export async function readResponse(response: Response): Promise<Answered> {
  const body = await reached(() => response.text());
  return { status: response.status, body, retryAfter: response.headers.get("Retry-After") };
}

/** Whether the server itself, and no hotel's sign-in page, does not take the bearer. */
export function isSignedOut(answered: Pick<Answered, "status" | "body">): boolean {
  return answered.status === UNAUTHENTICATED && parseProblem(answered.body).code !== null;
}

/** Whatever ends a request without an answer is one error. */
export async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new UnreachableError(`no answer (${cause instanceof Error ? cause.name : "unknown"})`, { cause });
  }
}

export function refusalOf(response: Answered, problem: Problem, nowMs: number): ClientError {
  const { status } = response;
  const said = problem.detail ?? `the server answered ${status}`;
  const why = { reason: problem.code };
  if (status === 413) return new BatchTooLargeError(said, why);
  if (LATER.has(status))
    return new UnavailableError(said, { ...why, retryAfterS: retryAfterS(response.retryAfter, nowMs) });
  if (problem.code === null || status < 400 || status >= 500) {
    return new UnexpectedAnswerError(`the answer has status ${status} and is not this server's`, why);
  }
  if (status === 409) return numbering(problem, said);
  if (problem.code === "foreign_client") return new ForeignQueueError(said, why);
  const Kind = status in HELD ? HELD[status as keyof typeof HELD] : UpdateNeededError;
  return new Kind(said, why);
}

/** Seconds to wait as `Retry-After` says it: a number, or a date (RFC 9110, 10.2.3). */
export function retryAfterS(text: string | null, nowMs: number): number | null {
  const said = (text ?? "").trim();
  if (/^\d+$/.test(said)) return Number(said.slice(0, 9));
  const until = /[A-Za-z]/.test(said) ? Date.parse(said) : Number.NaN;
  return Number.isNaN(until) ? null : Math.max(0, (until - nowMs) / 1000);
}

function numbering(problem: Problem, said: string): ClientError {
  const why = { reason: problem.code };
  const last = problem.lastMutationId;
  if (last !== null && problem.code === "client_forked") return new ForkedError(said, why, problem.verdicts, last);
  if (last !== null && problem.code === "mutation_gap") return new GapError(said, why, problem.verdicts, last);
  return new UnexpectedAnswerError("a conflict that is not the protocol's", why);
}

async function gzipped(body: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const packed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).arrayBuffer();
}
