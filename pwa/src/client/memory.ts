/**
 * A store in memory, for tests and for programs that keep nothing. It is as strict as one on disk: rows are copied in
 * and out, a write that throws leaves nothing, writers wait for each other, and readers see what was last committed.
 */
import { compareKeys, compareParts, keyOf, partsOf } from "./keys";
import { StoreError } from "./errors";
import type { Key, Part, Range, Store, Table, TableShape, Tx } from "./store";
import { SHAPES, type Tables } from "./tables";

type Rows = ReadonlyMap<string, object>;
type Database = { readonly [Name in keyof Tables]: Rows };
const NAMES = Object.keys(SHAPES) as (keyof Tables)[];

export interface MemoryStore extends Store {
  /** Called before every commit; what it throws becomes the transaction's failure. For tests. */
  beforeCommit: () => void;
}

/** A new database that ends with its last reference. */
export function memoryStore(): MemoryStore {
  let committed: Database = {
    client: new Map(),
    base: new Map(),
    mutations: new Map(),
    series: new Map(),
    sums: new Map(),
  };
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function transaction<R>(work: (tx: Tx) => Promise<R>): Promise<R> {
    if (closed) throw new StoreError("the store is closed");
    const tables = tablesOver(committed);
    const result = await work(tables.tx);
    store.beforeCommit();
    committed = tables.rows();
    return result;
  }

  const store: MemoryStore = {
    beforeCommit: () => undefined,
    async read(work) {
      if (closed) throw new StoreError("the store is closed");
      return work(tablesOver(committed).tx);
    },
    write(work) {
      const mine = last.then(() => transaction(work));
      last = mine.catch(() => undefined);
      return mine;
    },
    async close() {
      await last;
      closed = true;
    },
  };
  return store;
}

function tablesOver(database: Database): { readonly tx: Tx; readonly rows: () => Database } {
  const tables = Object.fromEntries(NAMES.map((name) => [name, new MemoryTable(SHAPES[name], database[name])]));
  const rows = () => Object.fromEntries(NAMES.map((name) => [name, tables[name]!.rows])) as Database;
  return { tx: tables as unknown as Tx, rows };
}

class MemoryTable implements Table<object> {
  private copied = false;

  constructor(
    private readonly shape: TableShape,
    public rows: Rows,
  ) {}

  async get(key: Key): Promise<object | undefined> {
    const found = this.rows.get(named(partsOf(key)));
    return found === undefined ? undefined : structuredClone(found);
  }

  async find(index: string, values: readonly Part[]): Promise<object[]> {
    const member = this.shape.indexes[index]![0]!;
    const wanted = new Set(values);
    return structuredClone([...this.rows.values()].filter((row) => wanted.has(Reflect.get(row, member) as Part)));
  }

  async range(range: Range): Promise<object[]> {
    const found = this.within(range);
    if (range.reverse === true) found.reverse();
    return structuredClone(found.slice(0, range.limit));
  }

  async count(range: Range): Promise<number> {
    return this.within(range).length;
  }

  async put(rows: readonly object[]): Promise<void> {
    const mine = this.own();
    for (const row of rows) {
      const key = keyOf(row, this.shape.key);
      if (key === null) throw new StoreError("a row has no key");
      this.checkUnique(row, key);
      mine.set(named(key), structuredClone(row));
    }
  }

  async remove(keys: readonly Key[]): Promise<void> {
    const mine = this.own();
    for (const key of keys) mine.delete(named(partsOf(key)));
  }

  async removeRange(range: Range): Promise<void> {
    await this.remove(this.within(range).map((row) => keyOf(row, this.shape.key)!));
  }

  private within(range: Range): object[] {
    const members = range.index === undefined ? this.shape.key : this.shape.indexes[range.index]!;
    const prefix = range.prefix ?? [];
    const found: { key: readonly Part[]; row: object }[] = [];
    for (const row of this.rows.values()) {
      const key = keyOf(row, members);
      if (key === null || !prefix.every((part, at) => part === key[at])) continue;
      if (range.from !== undefined && compareParts(key[prefix.length]!, range.from) < 0) continue;
      found.push({ key, row });
    }
    return found.sort((one, other) => compareKeys(one.key, other.key)).map(({ row }) => row);
  }

  private checkUnique(row: object, key: readonly Part[]): void {
    for (const member of this.shape.unique ?? []) {
      const value: unknown = Reflect.get(row, member);
      for (const [name, other] of this.rows) {
        if (name !== named(key) && Reflect.get(other, member) === value)
          throw new StoreError(`two rows have one ${member}`);
      }
    }
  }

  private own(): Map<string, object> {
    if (!this.copied) {
      this.rows = new Map(this.rows);
      this.copied = true;
    }
    return this.rows as Map<string, object>;
  }
}

function named(key: readonly Part[]): string {
  return JSON.stringify(key);
}
