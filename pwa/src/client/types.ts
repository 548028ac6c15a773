/**
 * What the public door speaks of: drafts in, entries, records and status out. The names are those of `sync/client`,
 * written the way TypeScript writes them; the names of a record's own fields are the collection's, untouched.
 */
import type { ClientError } from "./errors";
import type { Json, Op } from "./shape";

/** Fields by name, in the wire's own form. */
export type Fields = { readonly [name: string]: Json };
/** Collections by name, each with the type of its records. */
export type Shop = object;
/** A collection's name. */
export type NameOf<S extends Shop> = keyof S & string;
/** What a creation or an edit may say: some of a record's fields. */
export type Some<R> = { readonly [F in keyof R]?: R[F] };

/** The field to fill with the next number of a series, such as a till's receipts. */
export interface NumberFrom {
  readonly field: string;
  readonly series: string;
}

/**
 * What somebody wants done to a record. Without `recordId` a creation gets a new one; `actor` is the person at a shared
 * till. Counters are added to by `increments`; tags go in by `adds`, out by `removes`.
 */
export interface Draft<S extends Shop = Shop, N extends NameOf<S> = NameOf<S>> {
  readonly collection: N;
  readonly op: Op;
  readonly recordId?: string;
  readonly fields?: Some<S[N]>;
  readonly increments?: { readonly [name: string]: string };
  readonly adds?: { readonly [name: string]: readonly string[] };
  readonly removes?: { readonly [name: string]: readonly string[] };
  readonly number?: NumberFrom;
  readonly actor?: string;
}

/** Any draft, whatever its collection. */
export type AnyDraft = Omit<Draft, "collection" | "fields"> & { readonly collection: string; readonly fields?: object };

/** A mutation that is on disk. `number` is what its series gave. */
export interface Made {
  readonly uid: string;
  readonly mutationId: number;
  readonly recordId: string;
  readonly number: number | null;
  readonly timestamp: string;
}

export type VerdictStatus = "applied" | "merged" | "conflict" | "rejected" | "waiting";

/** What became of a mutation. `version` is the record's afterwards; `superseded` names fields that lost. */
export interface Verdict {
  readonly mutationId: number;
  readonly uid: string;
  readonly status: VerdictStatus;
  readonly duplicate: boolean;
  readonly version: number | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly conflictId: string | null;
  readonly superseded: readonly string[];
  readonly clamped: boolean;
}

/**
 * pending: made, sent again and again until its verdict comes · waiting: consumed, its record is not known there yet ·
 * settled: taken, kept as the journal · rejected: refused, in "Da controllare" · resolved: rejected, and dealt with.
 */
export type EntryState = "pending" | "waiting" | "settled" | "rejected" | "resolved";

/** What a mutation says, without its number; snake_case, for it is what was or will be sent. */
export interface Content {
  readonly uid: string;
  readonly op: Op | "noop";
  readonly collection?: string;
  readonly record_id?: string;
  readonly timestamp?: string;
  readonly base_version?: number;
  readonly epoch?: string | null;
  readonly schema?: number;
  readonly actor?: string;
  readonly fields?: Fields;
  readonly increments?: { readonly [name: string]: string };
  readonly adds?: { readonly [name: string]: readonly string[] };
  readonly removes?: { readonly [name: string]: readonly string[] };
}

/** A mutation made on this device, with what became of it. */
export interface Entry {
  readonly uid: string;
  readonly clientId: string;
  readonly mutationId: number;
  readonly collection: string;
  readonly recordId: string;
  readonly state: EntryState;
  readonly madeAt: string;
  readonly settledAt: string | null;
  readonly content: Content;
  readonly verdict: Verdict | null;
}

/** A record as a person sees it: the server's, with this device's own mutations on top. */
export interface ViewRecord<R = Fields> {
  readonly recordId: string;
  /** The version of the base; 0 for what the server does not have yet. */
  readonly version: number;
  readonly deleted: boolean;
  readonly fields: Readonly<R>;
  /** How many of its mutations have no verdict yet: "Salvato su questo dispositivo"; 0 is "Inviato". */
  readonly unsent: number;
}

export type LoopState = "idle" | "syncing" | "backing_off" | "held_signed_out" | "held_update_needed";

/** Where the loop stands; `error` is what put it there. */
export interface Moment {
  readonly state: LoopState;
  readonly error: ClientError | null;
}

/** What the status pill tells. `code` and `reason` say why the loop is held or backing off. */
export interface Status {
  readonly state: LoopState;
  readonly code: string | null;
  readonly reason: string | null;
  readonly pending: number;
  readonly waiting: number;
  readonly rejected: number;
  readonly oldestPendingAt: string | null;
  /** The server takes what is queued, and gives nothing new before the app is updated. */
  readonly updateNeeded: boolean;
  /** How often the local copy was found not to be what the server has, by its digest. */
  readonly differences: number;
  /** When a server last answered, by its own clock; null where none ever did. */
  readonly lastExchangeAt: string | null;
  /** Whether a whole round was ever pulled: until then an empty list says nothing. */
  readonly complete: boolean;
  /** Whether this tab runs the loop for all tabs. */
  readonly leads: boolean;
}

/** What an answer brought: how many verdicts and changes, and whether pages are still to come. */
export interface Taken {
  readonly verdicts: number;
  readonly changes: number;
  readonly more: boolean;
  /** The queue was numbered anew, or the answer came too late to count; send again at once. */
  readonly renumbered: boolean;
  readonly tooOld: boolean;
}

/** Something that is read now and told again whenever it changed. */
export interface LiveQuery<T> {
  /** The newest reading; undefined before the first one. */
  readonly value: T | undefined;
  /** Hear every reading, the newest at once if there is one; the returned function ends it. */
  subscribe(hear: (value: T) => void): () => void;
  /** The newest reading, awaited. */
  get(): Promise<T>;
}

/** Which records a change touched; `"all"` after a rebuild, a swap or a lost bucket. */
export type Touched = ReadonlyMap<string, ReadonlySet<string>> | "all";

/** What a client tells of: `client.on(...)`. */
export interface Events {
  /** Records changed, here or in another tab. */
  changed: Touched;
  /** The loop moved, here or in the tab that leads. */
  moment: Moment;
  /** An exchange was taken in. */
  taken: Taken;
  /** Verdicts that a person should see: rejected ones, conflicts and clamped clocks. */
  verdicts: readonly Verdict[];
  /** The local copy was not what the server has; it is being made anew. */
  difference: number;
}

export type Decision = "mine" | "theirs" | "value";

/** How much room this origin uses and has, in bytes; null where the browser does not say. */
export interface StorageUse {
  readonly usage: number | null;
  readonly quota: number | null;
  /** Whether the browser promised not to evict it. */
  readonly persisted: boolean;
}
