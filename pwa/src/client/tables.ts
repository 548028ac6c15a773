/** The local database's tables: their rows, keys and indexes, and the steps from each older format to today's. */
import type { TableShape, Tx } from "./store";
import type { Content, EntryState, Fields, Verdict } from "./types";

/**
 * The client's own row, read at the start of every write and stored at its end.
 *
 * `base` holds one or two copies (sides) of the server's records: `shownSide`, and while a rebuild is under way
 * `buildingSide`. `baseEpoch` is the epoch of the shown one's versions. `inRound`: pages are still to come.
 *
 * `disputed` is what the server last told of the buckets where the base differs, null while they agree; `differences`
 * counts how often that was something new. `prunedTo`: the highest of this client's numbers that was pruned from the
 * journal. `resumeFrom`: the server asks for some of those, so what is sent again begins here.
 */
export interface Meta {
  one: 1;
  clientId: string;
  owner: string | null;
  lastIssued: number;
  lastPlace: number;
  epoch: string | null;
  baseEpoch: string | null;
  cursor: string | null;
  shownSide: number;
  buildingSide: number | null;
  inRound: boolean;
  roundHead: string | null;
  head: string | null;
  offsetMs: number;
  lastStampMs: number;
  safeMutationId: number;
  disputed: string | null;
  differences: number;
  resumeFrom: number | null;
  prunedTo: number;
  lastExchangeAt: string | null;
}

/** The row of a database that was never used. */
export function newMeta(clientId: string): Meta {
  return {
    one: 1,
    clientId,
    owner: null,
    lastIssued: 0,
    lastPlace: 0,
    epoch: null,
    baseEpoch: null,
    cursor: null,
    shownSide: 0,
    buildingSide: null,
    inRound: false,
    roundHead: null,
    head: null,
    offsetMs: 0,
    lastStampMs: 0,
    safeMutationId: 0,
    disputed: null,
    differences: 0,
    resumeFrom: null,
    prunedTo: 0,
    lastExchangeAt: null,
  };
}

/** A server's record as it was last pulled. `deleted` is 0 or 1. */
export interface BaseRow {
  side: number;
  collection: string;
  recordId: string;
  version: number;
  audience: string;
  deleted: 0 | 1;
  fields: Fields;
}

/**
 * Whether the view replays a mutation over the base: while it has no final verdict; after it, until the base has its
 * effect; or only from the next swap on, for the base of a lost epoch still holds its effect. Absent: not at all.
 */
export type Shown = "unsent" | "returning" | "after_swap";

export interface MutationRow {
  /** The order in which they were made. */
  place: number;
  uid: string;
  clientId: string;
  mutationId: number;
  collection: string;
  recordId: string;
  body: Content;
  madeAt: string;
  state: EntryState;
  shown?: Shown;
  version: number | null;
  verdict: Verdict | null;
  settledAt: string | null;
}

/** The last number of a series. */
export interface SeriesRow {
  name: string;
  last: number;
}

/** The digest of a bucket of one side, as `sync/digest.py` makes it. */
export interface SumRow {
  side: number;
  collection: string;
  audience: string;
  sum: number;
}

export interface Tables {
  client: Meta;
  base: BaseRow;
  mutations: MutationRow;
  series: SeriesRow;
  sums: SumRow;
}

export const SHAPES: { readonly [Name in keyof Tables]: TableShape } = {
  client: { key: ["one"], indexes: {} },
  base: { key: ["side", "collection", "recordId"], indexes: { bucket: ["collection", "audience"] } },
  mutations: {
    key: ["place"],
    indexes: {
      uid: ["uid"],
      number: ["state", "clientId", "mutationId"],
      shown: ["shown", "collection", "recordId", "place"],
      record: ["collection", "recordId", "place"],
    },
    unique: ["uid"],
  },
  series: { key: ["name"], indexes: {} },
  sums: { key: ["side", "collection", "audience"], indexes: {} },
};

/** The format that `SHAPES` describe. */
export const FORMAT = 1;

/** A format of the database: all its tables, and what is done to the rows of the format before. */
export interface Step {
  readonly format: number;
  readonly shapes: { readonly [name: string]: TableShape };
  readonly upgrade?: (tx: Tx) => Promise<void>;
}

/** Every format there was, oldest first. Queues outlive apps: a step is never deleted. */
export const STEPS: readonly Step[] = [{ format: FORMAT, shapes: SHAPES }];
