/**
 * The shapes behind the public door: what a client and a session can do. Implemented in `client.ts` and `session.ts`.
 */
import type { Options } from "./options";
import type { Runtime } from "./runtime";
import type { Json } from "./shape";
import type { Store } from "./store";
import type { Tabs } from "./tabs";
import type {
  Decision,
  Draft,
  Entry,
  EntryState,
  Events,
  LiveQuery,
  Made,
  NameOf,
  Shop,
  Some,
  Status,
  StorageUse,
  Taken,
  ViewRecord,
} from "./types";

/** Who is signed in on this device. `personId` is null for a device alone, `sessionId` for an API key. */
export interface Signed {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly personId: string | null;
  readonly sessionId: string | null;
}

/** What lets a client in: a `Session`, or a till's API key (`deviceKey`). */
export interface Bearer {
  /** Whose queue is sent by it; null while nobody is signed in, and a client holds. */
  readonly owner: string | null;
  /** A bearer that should be good now. Throws SignedOutError, TroubleError. */
  token(): Promise<string>;
  /** The server did not take this one: get another. Throws SignedOutError, TroubleError. */
  renew(refused: string): Promise<string>;
  /** Hear of sign-ins, sign-outs and renewals, also those of other tabs; the returned function ends it. */
  subscribe(hear: () => void): () => void;
}

export interface PasswordEntry {
  /** An id or a handle; needed where the server has several merchants. */
  readonly merchant?: string;
  readonly login: string;
  readonly password: string;
  readonly deviceName?: string;
}

export interface SetupEntry {
  /** From the fragment of a one-time link. */
  readonly token: string;
  readonly name?: string;
  readonly login?: string;
  readonly password?: string;
  readonly deviceName?: string;
}

/** Signing in, staying signed in, and asking the rest of the API as who is signed in. */
export interface Session extends Bearer {
  /** Who was signed in here last, also offline from a cold start; null after a sign-out. */
  readonly current: Signed | null;
  /** True once the server said that this sign-in is over; `current` stays, so that its data can be shown. */
  readonly over: boolean;
  byPassword(entry: PasswordEntry): Promise<Signed>;
  /** `code` as it was typed, or what its link carries. */
  pair(code: string, deviceName?: string): Promise<Signed>;
  setUp(entry: SetupEntry): Promise<Signed>;
  /** Sign in by any other route that answers as those do, such as `/v1/auth/passkeys/enter`. */
  enter(path: string, body: { readonly [name: string]: Json }): Promise<Signed>;
  /** End it here and there; without a network it ends here, and there as soon as there is one. */
  signOut(): Promise<void>;
  /** Ask the API. Throws AccessError, SignedOutError, TroubleError. `path` begins with `/v1/`. */
  ask<T = Json>(method: string, path: string, body?: Json): Promise<T>;
}

export interface ClientSettings extends Partial<Options> {
  /** The server's address; "" where the page came from it. */
  readonly url: string;
  readonly bearer: Bearer;
  /** The local database; usually `dexieStore(databaseName(session.current))`. */
  readonly store: Store;
  /** Who of several tabs runs the loop; `browserTabs(name)` by Web Locks, by default this one alone. */
  readonly tabs?: Tabs;
  readonly runtime?: Runtime;
}

/**
 * A local database and the loop that keeps it in step with a server. Every writing method returns when it is on disk.
 */
export interface SyncClient<S extends Shop> {
  /** Queue drafts in one transaction: all of them or none. Throws LocalError. */
  mutate(...drafts: Draft<S>[]): Promise<Made[]>;
  /** Ring up a sale with the next number of the till's series (`terminal_id`, unless told otherwise). */
  sell(fields: Some<S["sales" & keyof S]>, more?: { readonly series?: string; readonly actor?: string }): Promise<Made>;
  create<N extends NameOf<S>>(collection: N, fields: Some<S[N]>, more?: Partial<Draft<S, N>>): Promise<Made>;
  update<N extends NameOf<S>>(
    collection: N,
    recordId: string,
    fields?: Some<S[N]>,
    more?: Partial<Draft<S, N>>,
  ): Promise<Made>;
  delete(collection: NameOf<S>, recordId: string): Promise<Made>;
  restore(collection: NameOf<S>, recordId: string): Promise<Made>;
  /** End a conflict: `mine` (`candidate` names the uid, where there are several), `theirs`, or a `value`. */
  decide(
    conflictId: string,
    decision: Decision,
    more?: { readonly candidate?: string; readonly value?: Json },
  ): Promise<Made>;
  /** Let a receipt series go on after `last`; it never goes back. */
  continueSeries(series: string, last: number): Promise<void>;
  /** The last number a series gave; 0 before the first. */
  lastNumber(series: string): Promise<number>;

  /** A collection's live records by id, as a person sees them. */
  records<N extends NameOf<S>>(collection: N): Promise<ReadonlyMap<string, ViewRecord<S[N]>>>;
  /** One record, also a deleted one; null where there is none. */
  record<N extends NameOf<S>>(collection: N, recordId: string): Promise<ViewRecord<S[N]> | null>;
  /** The same, told again at every change; one reading is shared by all who ask for the same. */
  liveRecords<N extends NameOf<S>>(collection: N): LiveQuery<ReadonlyMap<string, ViewRecord<S[N]>>>;
  liveRecord<N extends NameOf<S>>(collection: N, recordId: string): LiveQuery<ViewRecord<S[N]> | null>;
  liveStatus(): LiveQuery<Status>;
  liveEntries(...states: EntryState[]): LiveQuery<readonly Entry[]>;
  /** Open conflicts by id. */
  liveConflicts(): LiveQuery<ReadonlyMap<string, ViewRecord<S["conflicts" & keyof S]>>>;

  /** Mutations of this device in those states (none named: all), in the order they were made. */
  entries(...states: EntryState[]): Promise<Entry[]>;
  pending(): Promise<Entry[]>;
  /** What is in "Da controllare": refused mutations with their content, the oldest first. */
  rejected(): Promise<Entry[]>;
  /** What was taken, kept for a server restored from a backup. */
  journal(): Promise<Entry[]>;
  conflicts(): Promise<ReadonlyMap<string, ViewRecord<S["conflicts" & keyof S]>>>;
  /** Entries as a document to be kept elsewhere. */
  exportEntries(format: "json" | "csv", ...states: EntryState[]): Promise<string>;
  /** Send a rejected mutation again with some of it corrected. Throws UnknownRejectionError. */
  resend(
    uid: string,
    fields?: { readonly [name: string]: Json },
    increments?: { readonly [name: string]: string },
  ): Promise<Made>;
  /** Take a rejected mutation off the list. Throws UnknownRejectionError. */
  dismiss(uid: string): Promise<void>;

  /** How things stand. */
  status(): Promise<Status>;
  on<E extends keyof Events>(event: E, hear: (told: Events[E]) => void): () => void;
  /** The server's time now, by this device's clock and the offset seen at the last answer; milliseconds since 1970. */
  serverNowMs(): Promise<number>;
  storage(): Promise<StorageUse>;
  /** Ask the browser not to evict the database. */
  persist(): Promise<boolean>;

  /** Sync for ever, and listen for pokes, in one tab of all; the returned function stops it. */
  start(): () => void;
  /** Sync now rather than at the next interval. */
  wake(): void;
  /** One exchange. Throws TroubleError, HeldError, BatchTooLargeError (already halved: call again). */
  syncOnce(): Promise<Taken>;
  /** Sync until the queue is empty and what it did has come back, or until closed. Throws HeldError. */
  drain(): Promise<void>;
  /** The app was updated, or somebody did what held it: try again. */
  release(): void;
  /** Stop and close; what is queued stays queued. */
  close(): Promise<void>;
}
