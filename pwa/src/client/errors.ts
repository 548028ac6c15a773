/**
 * What can go wrong with a client. Whatever it is, no mutation leaves the queue by it: only a verdict ends one.
 *
 *     ClientError
 *     ├── LocalError                     nothing was written: correct what was asked for, and ask again
 *     │   ├── InvalidMutationError       not what a mutation may hold
 *     │   ├── MutationTooLargeError      over 256 KiB
 *     │   ├── UnknownRejectionError      no such entry in "Da controllare"
 *     │   ├── StoreTooNewError           the database was written by a newer app: load that one
 *     │   └── StoreError                 the database refused: closed by the browser, gone, corrupt
 *     │       └── StoreFullError         no room left on this device
 *     ├── TroubleError                   passes by itself: wait and send the same again
 *     │   ├── UnreachableError           no answer; whether the server took it is unknown
 *     │   ├── UnavailableError           the server says "later"
 *     │   └── UnexpectedAnswerError      an answer that is not the protocol's, such as a hotel's sign-in page
 *     ├── BatchTooLargeError             send less at a time
 *     ├── NumberingError                 the server counts otherwise; carries the verdicts so far
 *     │   ├── ForkedError                an id of ours was used for another mutation: this database was copied
 *     │   └── GapError                   an id is missing: go on from the expected one
 *     ├── AccessError                    a sign-in was refused; `reason` says why
 *     └── HeldError                      somebody has to do something; the queue waits as long as it takes
 *         ├── SignedOutError             sign in again
 *         ├── RefusedError               this device or person may not
 *         │   └── ForeignQueueError      the queue belongs to another device or person
 *         ├── TenantGoneError            the merchant was deleted; the queue can still be exported
 *         └── UpdateNeededError          the server does not understand this app
 *
 * Each has a stable `code`; `reason` is the code the server gave, where it gave one. No message quotes a value.
 */
import type { Verdict } from "./types";

export interface Why {
  readonly reason?: string | null | undefined;
  readonly cause?: unknown;
}

/** The client could not do it. */
export class ClientError extends Error {
  readonly code: string = "client_error";
  readonly reason: string | null;

  constructor(message: string, why: Why = {}) {
    super(message, why.cause === undefined ? undefined : { cause: why.cause });
    this.name = new.target.name;
    this.reason = why.reason ?? null;
  }
}

/** Nothing was written. */
export class LocalError extends ClientError {
  override readonly code: string = "local";
}
/** A mutation may not hold this. */
export class InvalidMutationError extends LocalError {
  override readonly code = "invalid_mutation";
}
/** A mutation holds at most 256 KiB. */
export class MutationTooLargeError extends LocalError {
  override readonly code = "mutation_too_large";
}
/** There is no such rejected mutation. */
export class UnknownRejectionError extends LocalError {
  override readonly code = "unknown_rejection";
}
/** The local database was written by a newer version of the app. */
export class StoreTooNewError extends LocalError {
  override readonly code = "store_too_new";
}
/** The local database refused the transaction, twice; nothing of it was kept. */
export class StoreError extends LocalError {
  override readonly code: string = "store_failed";
}
/** There is no room left on this device; nothing of it was kept. */
export class StoreFullError extends StoreError {
  override readonly code = "store_full";
}

/** It will pass: wait and send the same again. */
export class TroubleError extends ClientError {
  override readonly code: string = "trouble";
  readonly retryAfterS: number | null = null;
}
/** No answer came; whether the server took the mutations is unknown. */
export class UnreachableError extends TroubleError {
  override readonly code = "unreachable";
}
/** The server is there but cannot answer now. `retryAfterS` is how long it asks to be left alone, in seconds. */
export class UnavailableError extends TroubleError {
  override readonly code = "unavailable";
  override readonly retryAfterS: number | null;

  constructor(message: string, why: Why & { readonly retryAfterS?: number | null } = {}) {
    super(message, why);
    this.retryAfterS = why.retryAfterS ?? null;
  }
}
/** The answer is not the protocol's. */
export class UnexpectedAnswerError extends TroubleError {
  override readonly code = "unexpected_answer";
}

/** The request was over a limit of the server or of something before it. */
export class BatchTooLargeError extends ClientError {
  override readonly code = "batch_too_large";
}

/** The server's numbering of this client's mutations and the client's own disagree; verdicts before that hold. */
export class NumberingError extends ClientError {
  override readonly code: string = "numbering";

  constructor(
    message: string,
    why: Why,
    readonly verdicts: readonly Verdict[],
    readonly lastMutationId: number,
  ) {
    super(message, why);
  }
}
/** An id of ours names another mutation at the server: this database was copied or restored. */
export class ForkedError extends NumberingError {
  override readonly code = "client_forked";
}
/** The server expects an earlier id than the one that came. */
export class GapError extends NumberingError {
  override readonly code = "mutation_gap";
}

/** A sign-in was refused: `reason` is the server's code. */
export class AccessError extends ClientError {
  override readonly code = "access";
}

/** Somebody has to do something first; the queue waits. */
export class HeldError extends ClientError {
  override readonly code: string = "held";
}
/** Sign in again: nobody is signed in here any more. */
export class SignedOutError extends HeldError {
  override readonly code = "signed_out";
}
/** The server does not let this device in. */
export class RefusedError extends HeldError {
  override readonly code: string = "refused";
}
/** The queue belongs to another device or person, and is never sent under a second name. */
export class ForeignQueueError extends RefusedError {
  override readonly code = "foreign_queue";
}
/** The merchant is not on this server any more; the queue can be exported. */
export class TenantGoneError extends HeldError {
  override readonly code = "tenant_gone";
}
/** The server does not understand this version of the app. */
export class UpdateNeededError extends HeldError {
  override readonly code = "update_needed";
}
