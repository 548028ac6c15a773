import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import Dexie from "dexie";
import { expect, test } from "vitest";
import { databasesNamed, dexieStore } from "./dexie";
import { StoreError, StoreFullError, StoreTooNewError } from "./errors";
import { Local } from "./local";
import { seededRuntime } from "./testing";
import { storeSuite } from "./store.suite";
import { SHAPES, STEPS, type Step } from "./tables";

let count = 0;
const fresh = () => `test-${(count += 1)}`;

storeSuite("on IndexedDB", () => dexieStore(fresh()));

test("what was written is there for the next who opens, and databases are listed", async () => {
  const name = `queue-of-${fresh()}`;
  const first = dexieStore(name);
  await first.write((tx) => tx.series.put([{ name: "till", last: 7 }]));
  await first.close();
  const second = dexieStore(name);
  expect(await second.read((tx) => tx.series.get("till"))).toEqual({ name: "till", last: 7 });
  await second.close();
  expect(await databasesNamed("queue-of-")).toEqual([name]);
});

test("a database that the browser closed is opened again, and nobody notices", async () => {
  const name = fresh();
  const store = dexieStore(name);
  await store.write((tx) => tx.series.put([{ name: "till", last: 7 }]));
  await forceClose(store);
  expect(await store.read((tx) => tx.series.get("till"))).toEqual({ name: "till", last: 7 });
  await store.close();
});

test("a full disk is tried twice, said in words, and leaves nothing", async () => {
  const store = dexieStore(fresh());
  let tries = 0;
  const full = store.write(async (tx) => {
    tries += 1;
    await tx.series.put([{ name: "till", last: 7 }]);
    throw new DOMException("no room", "QuotaExceededError");
  });
  await expect(full).rejects.toBeInstanceOf(StoreFullError);
  expect(tries).toBe(2);
  expect(await store.read((tx) => tx.series.count({}))).toBe(0);
  await store.close();
});

test("a disk that was full once is no trouble at all", async () => {
  const store = dexieStore(fresh());
  let tries = 0;
  await store.write(async (tx) => {
    await tx.series.put([{ name: "till", last: 7 }]);
    if ((tries += 1) === 1) throw new DOMException("no room", "QuotaExceededError");
  });
  expect(await store.read((tx) => tx.series.get("till"))).toEqual({ name: "till", last: 7 });
  await store.close();
});

const NEXT: Step = {
  format: 2,
  shapes: { ...SHAPES, mutations: { ...SHAPES.mutations, indexes: { ...SHAPES.mutations.indexes, made: ["madeAt"] } } },
  async upgrade(tx) {
    const rows = await tx.mutations.range({});
    await tx.mutations.put(rows.map((row) => ({ ...row, body: { ...row.body, actor: "upgraded" } })));
  },
};

test("an update of the app changes the tables under a full queue, and loses none of it", async () => {
  const name = fresh();
  const old = dexieStore(name);
  const local = new Local(old, seededRuntime("old"), 4);
  for (let at = 0; at < 10; at += 1) {
    const fields = { name: "Caffè", price: "1.20", vat_rate: "10.00" };
    await local.add(Array.from({ length: 100 }, () => ({ collection: "products", op: "create", fields })));
  }
  const before = await local.entries(["pending"]);
  await old.close();
  const updated = dexieStore(name, [...STEPS, NEXT]);
  const again = new Local(updated, seededRuntime("new"), 5);
  const after = await again.entries(["pending"]);
  expect(after.map((entry) => entry.uid)).toEqual(before.map((entry) => entry.uid));
  expect(new Set(after.map((entry) => entry.content.actor))).toEqual(new Set(["upgraded"]));
  expect(new Set(after.map((entry) => entry.content.schema))).toEqual(new Set([4]));
  expect((await again.counts()).pending).toBe(1000);
  await updated.close();
});

test("an older app does not touch what a newer one wrote", async () => {
  const name = fresh();
  const newer = dexieStore(name, [...STEPS, NEXT]);
  await newer.write((tx) => tx.series.put([{ name: "till", last: 7 }]));
  await newer.close();
  await expect(dexieStore(name).read((tx) => tx.series.get("till"))).rejects.toBeInstanceOf(StoreTooNewError);
});

test("a browser that refuses to open says so in one kind of error", async () => {
  const { indexedDB } = Dexie.dependencies;
  const broken = new IDBFactory();
  broken.open = () => {
    throw new DOMException("private window", "InvalidStateError");
  };
  Dexie.dependencies.indexedDB = broken;
  try {
    await expect(dexieStore(fresh()).read((tx) => tx.base.count({}))).rejects.toBeInstanceOf(StoreError);
  } finally {
    Dexie.dependencies.indexedDB = indexedDB;
  }
});

/** Close the connection beneath, as a browser under memory pressure does. */
async function forceClose(store: ReturnType<typeof dexieStore>): Promise<void> {
  const db = (await Reflect.get(store, "db")) as { backendDB(): IDBDatabase };
  db.backendDB().close();
}
