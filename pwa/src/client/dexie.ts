/**
 * The store on IndexedDB, by Dexie. Commits are strict: what a promise was kept for survives a power cut. Where the
 * browser closed the database, or refused for want of room, it is opened again and the transaction run once more.
 */
import Dexie, { type Collection, type Transaction } from "dexie";
import { StoreError, StoreFullError, StoreTooNewError } from "./errors";
import { partsOf } from "./keys";
import type { Key, Part, Range, Store, Table, TableShape, Tx } from "./store";
import { SHAPES, STEPS, type Step, type Tables } from "./tables";

const NAMES = Object.keys(SHAPES) as (keyof Tables)[];
const TOO_NEW: ReadonlySet<string> = new Set(["VersionError"]);
const DEXIE_FACTOR = 10; // Dexie opens a newer database, and counts in tens
const FULL = "QuotaExceededError";

/** The database `name` of this origin; `steps` are for tests of what an update does to a full queue. */
export function dexieStore(name: string, steps: readonly Step[] = STEPS): Store {
  return new DexieStore(name, steps);
}

/** The names of this origin's databases that begin with `prefix`: each may hold somebody's queue. */
export async function databasesNamed(prefix: string): Promise<readonly string[]> {
  const found = await indexedDB.databases();
  return found.flatMap((one) => (one.name?.startsWith(prefix) === true ? [one.name] : [])).sort();
}

class DexieStore implements Store {
  private db: Promise<Dexie> | null = null;
  private closed = false;

  constructor(
    private readonly name: string,
    private readonly steps: readonly Step[],
  ) {}

  read<R>(work: (tx: Tx) => Promise<R>): Promise<R> {
    return this.twice("r", work);
  }

  write<R>(work: (tx: Tx) => Promise<R>): Promise<R> {
    return this.twice("rw", work);
  }

  async close(): Promise<void> {
    this.closed = true;
    (await this.db?.catch(() => null))?.close();
  }

  private async twice<R>(mode: "r" | "rw", work: (tx: Tx) => Promise<R>): Promise<R> {
    try {
      return await this.once(mode, work);
    } catch (error) {
      const said = storeErrorOf(error);
      if (!(said instanceof StoreError) || this.closed) throw said;
    }
    await this.reopen();
    try {
      return await this.once(mode, work);
    } catch (error) {
      throw storeErrorOf(error);
    }
  }

  private async once<R>(mode: "r" | "rw", work: (tx: Tx) => Promise<R>): Promise<R> {
    if (this.closed) throw new StoreError("the store is closed");
    this.db ??= this.open();
    const db = await this.db;
    return db.transaction(mode, NAMES, (transaction) => work(tablesOf(transaction)));
  }

  private async open(): Promise<Dexie> {
    const db = new Dexie(this.name, { autoOpen: false, chromeTransactionDurability: "strict" });
    for (const step of this.steps) {
      const version = db.version(step.format).stores(storesOf(step));
      if (step.upgrade !== undefined) version.upgrade((transaction) => step.upgrade?.(tablesOf(transaction)));
    }
    db.on("close", () => (this.db = null)); // by the browser, which does not say why
    db.on("versionchange", () => db.close()); // a newer app in another tab: make room for it
    try {
      await db.open();
    } catch (error) {
      this.db = null;
      throw error;
    }
    if (db.backendDB().version > this.steps.at(-1)!.format * DEXIE_FACTOR) {
      db.close();
      this.db = null;
      throw new StoreTooNewError("this device's data was written by a newer version of the app");
    }
    return db;
  }

  private async reopen(): Promise<void> {
    const db = await this.db?.catch(() => null);
    db?.close();
    this.db = null;
  }
}

/** What an error of IndexedDB's or Dexie's means; ours pass as they are. */
export function storeErrorOf(error: unknown): unknown {
  if (!(error instanceof DOMException || error instanceof Dexie.DexieError)) return error; // not the database's
  const names = namesOf(error);
  const why = { cause: error };
  if (names.some((name) => TOO_NEW.has(name))) {
    return new StoreTooNewError("this device's data was written by a newer version of the app", why);
  }
  if (names.includes(FULL)) return new StoreFullError("there is no room left on this device", why);
  return new StoreError(`the local database refused (${names[0]})`, why);
}

/** Dexie wraps what the browser said. */
function namesOf(error: unknown): readonly string[] {
  const names: string[] = [];
  for (let one = error; one instanceof Error && names.length < 5; one = Reflect.get(one, "inner")) names.push(one.name);
  return names;
}

function storesOf(step: Step): { [table: string]: string } {
  const described = (shape: TableShape) => {
    const indexes = Object.values(shape.indexes).map((members) => {
      const isUnique = members.length === 1 && shape.unique?.includes(members[0]!) === true;
      return `${isUnique ? "&" : ""}${pathOf(members)}`;
    });
    return [pathOf(shape.key), ...indexes].join(",");
  };
  return Object.fromEntries(Object.entries(step.shapes).map(([name, shape]) => [name, described(shape)]));
}

function tablesOf(transaction: Transaction): Tx {
  const tables = NAMES.map((name) => [name, new DexieTable(transaction, name, SHAPES[name])]);
  return Object.fromEntries(tables) as unknown as Tx;
}

class DexieTable implements Table<object> {
  constructor(
    private readonly transaction: Transaction,
    private readonly name: string,
    private readonly shape: TableShape,
  ) {}

  async get(key: Key): Promise<object | undefined> {
    return this.table().get(keyFor(partsOf(key)));
  }

  async find(index: string, values: readonly Part[]): Promise<object[]> {
    if (values.length === 0) return [];
    return this.table()
      .where(pathOf(this.shape.indexes[index]!))
      .anyOf([...values])
      .toArray();
  }

  async range(range: Range): Promise<object[]> {
    const all = this.within(range);
    const ordered = range.reverse === true ? all.reverse() : all;
    return (range.limit === undefined ? ordered : ordered.limit(range.limit)).toArray();
  }

  async count(range: Range): Promise<number> {
    return this.within(range).count();
  }

  async put(rows: readonly object[]): Promise<void> {
    if (rows.length === 1) await this.table().put(rows[0]!);
    else if (rows.length > 1) await this.table().bulkPut([...rows]);
  }

  async remove(keys: readonly Key[]): Promise<void> {
    if (keys.length > 0) await this.table().bulkDelete(keys.map((key) => keyFor(partsOf(key))));
  }

  async removeRange(range: Range): Promise<void> {
    await this.within(range).delete();
  }

  private within(range: Range): Collection<object, unknown> {
    const members = range.index === undefined ? this.shape.key : this.shape.indexes[range.index]!;
    const where = this.table().where(range.index === undefined ? ":id" : pathOf(members));
    const prefix = range.prefix ?? [];
    if (prefix.length === members.length) return where.equals(keyFor(prefix) as string);
    const least = range.from === undefined ? prefix : [...prefix, range.from];
    if (members.length === 1) return where.aboveOrEqual(least[0] ?? Dexie.minKey);
    return where.between([...least], [...prefix, []]); // an array sorts after every text
  }

  private table() {
    return this.transaction.table<object, unknown>(this.name);
  }
}

function pathOf(members: readonly string[]): string {
  return members.length === 1 ? members[0]! : `[${members.join("+")}]`;
}

function keyFor(parts: readonly Part[]): Part | Part[] {
  return parts.length === 1 ? parts[0]! : [...parts];
}
