/**
 * The store a client stands on: tables of rows, and transactions over all of them. `memory.ts` and `dexie.ts` are two;
 * `store.suite.ts` is what every one must pass.
 *
 * What is demanded: a write transaction is all or nothing, on disk when its promise is kept, and runs alone, also among
 * tabs. A read transaction sees one consistent state. Inside, only the transaction itself may be awaited: IndexedDB
 * ends a transaction that waits for anything else. Rows are copied in and out. Keys are ordered as IndexedDB orders
 * them: numbers before texts, arrays part by part; a row whose index has an absent part is not in that index.
 */
import type { Tables } from "./tables";

export type Part = string | number;
export type Key = Part | readonly Part[];

/** A table's primary key and indexes: names of a row's members. */
export interface TableShape {
  readonly key: readonly string[];
  readonly indexes: { readonly [name: string]: readonly string[] };
  readonly unique?: readonly string[];
}

/** The rows whose index begins with `prefix`, in the index's order. */
export interface Range {
  /** An index's name; the primary key without one. */
  readonly index?: string;
  readonly prefix?: readonly Part[];
  /** The least value of the part that follows the prefix. */
  readonly from?: Part;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export interface Table<Row> {
  get(key: Key): Promise<Row | undefined>;
  /** Rows of a one-part index with any of those values, in no order. */
  find(index: string, values: readonly Part[]): Promise<Row[]>;
  range(range: Range): Promise<Row[]>;
  count(range: Range): Promise<number>;
  /** Write rows, in place of those with the same key. */
  put(rows: readonly Row[]): Promise<void>;
  remove(keys: readonly Key[]): Promise<void>;
  removeRange(range: Range): Promise<void>;
}

/** The tables of a transaction; what their rows are is said in `tables.ts`. */
export type Tx = { readonly [Name in keyof Tables]: Table<Tables[Name]> };

/** A database. All methods throw StoreError, StoreFullError, StoreTooNewError. */
export interface Store {
  read<R>(work: (tx: Tx) => Promise<R>): Promise<R>;
  write<R>(work: (tx: Tx) => Promise<R>): Promise<R>;
  close(): Promise<void>;
}
