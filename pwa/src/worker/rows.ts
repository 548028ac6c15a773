/**
 * The client's store on plain IndexedDB, for the service worker: Dexie would be most of its size.
 *
 * It opens a database that a page has made, of the format this worker knows, and never makes or changes one.
 */
import { StoreError } from "../client/errors";
import { partsOf } from "../client/keys";
import type { Key, Part, Range, Store, Table, TableShape, Tx } from "../client/store";
import { FORMAT, SHAPES } from "../client/tables";

const DEXIE_TIMES = 10; // Dexie multiplies the versions it is told

/** The database `name`; null where there is none, or a newer or older app's. */
export async function existingStore(name: string): Promise<Store | null> {
  const db = await opened(name);
  if (db === null) return null;
  if (db.version !== FORMAT * DEXIE_TIMES) {
    db.close();
    return null;
  }
  db.onversionchange = () => db.close(); // a newer app wants it
  let isClosed = false;
  const open = () => {
    if (isClosed) throw new StoreError("the store is closed");
    return db;
  };
  return {
    read: async (work) => within(open(), "readonly", work),
    write: async (work) => within(open(), "readwrite", work),
    async close() {
      isClosed = true;
      db.close();
    },
  };
}

function opened(name: string): Promise<IDBDatabase | null> {
  return new Promise((done) => {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.transaction?.abort(); // it is not there, and is not ours to make
    request.onerror = () => done(null);
    request.onsuccess = () => done(request.result);
  });
}

async function within<R>(db: IDBDatabase, mode: IDBTransactionMode, work: (tx: Tx) => Promise<R>): Promise<R> {
  const transaction = db.transaction(Object.keys(SHAPES), mode, { durability: "strict" });
  const ended = new Promise<void>((done, fail) => {
    transaction.oncomplete = () => done();
    transaction.onabort = () => fail(transaction.error ?? new DOMException("aborted", "AbortError"));
  });
  ended.catch(() => undefined); // told below
  let result: R;
  try {
    result = await work(tablesOf(transaction));
  } catch (error) {
    if (transaction.error === null) transaction.abort();
    throw error;
  }
  await ended;
  return result;
}

function tablesOf(transaction: IDBTransaction): Tx {
  const tables = Object.entries(SHAPES).map(([name, shape]) => [name, new RowTable(transaction.objectStore(name), shape)]);
  return Object.fromEntries(tables) as unknown as Tx;
}

class RowTable implements Table<object> {
  constructor(
    private readonly rows: IDBObjectStore,
    private readonly shape: TableShape,
  ) {}

  get(key: Key): Promise<object | undefined> {
    return asked(this.rows.get(keyFor(partsOf(key))));
  }

  async find(index: string, values: readonly Part[]): Promise<object[]> {
    const source = this.source(index);
    const found = await Promise.all([...new Set(values)].map((value) => asked<object[]>(source.getAll(value))));
    return found.flat();
  }

  range(range: Range): Promise<object[]> {
    const source = this.source(range.index);
    if (range.reverse === true) return backwards(source, this.keys(range), range.limit ?? Number.POSITIVE_INFINITY);
    return asked(source.getAll(this.keys(range), range.limit));
  }

  count(range: Range): Promise<number> {
    return asked(this.source(range.index).count(this.keys(range)));
  }

  async put(rows: readonly object[]): Promise<void> {
    await Promise.all(rows.map((row) => asked(this.rows.put(row))));
  }

  async remove(keys: readonly Key[]): Promise<void> {
    await Promise.all(keys.map((key) => asked(this.rows.delete(keyFor(partsOf(key))))));
  }

  async removeRange(range: Range): Promise<void> {
    const keys = await asked(this.source(range.index).getAllKeys(this.keys(range)));
    await Promise.all(keys.map((key) => asked(this.rows.delete(key))));
  }

  private source(index: string | undefined): IDBObjectStore | IDBIndex {
    if (index === undefined) return this.rows;
    const members = this.shape.indexes[index]!;
    return this.rows.index(members.length === 1 ? members[0]! : `[${members.join("+")}]`);
  }

  private keys(range: Range): IDBKeyRange {
    const members = range.index === undefined ? this.shape.key : this.shape.indexes[range.index]!;
    const prefix = range.prefix ?? [];
    if (prefix.length === members.length) return IDBKeyRange.only(keyFor(prefix));
    const least = range.from === undefined ? prefix : [...prefix, range.from];
    if (members.length === 1) return IDBKeyRange.lowerBound(least[0] ?? Number.NEGATIVE_INFINITY);
    return IDBKeyRange.bound([...least], [...prefix, []]); // an array sorts after every text
  }
}

function backwards(source: IDBObjectStore | IDBIndex, keys: IDBKeyRange, limit: number): Promise<object[]> {
  return new Promise((done, fail) => {
    const found: object[] = [];
    const request: IDBRequest<IDBCursorWithValue | null> = source.openCursor(keys, "prev");
    request.onerror = () => fail(request.error ?? new DOMException("refused"));
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor === null || found.length >= limit) return done(found);
      found.push(cursor.value as object);
      cursor.continue();
    };
  });
}

function asked<R>(request: IDBRequest<R>): Promise<R> {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error ?? new DOMException("refused"));
  });
}

function keyFor(parts: readonly Part[]): IDBValidKey {
  return parts.length === 1 ? parts[0]! : [...parts];
}
