/** What every store must do; each store's own test file runs all of it. */
import { describe, expect, test } from "vitest";
import type { Store } from "./store";
import type { BaseRow, MutationRow } from "./tables";

function baseRow(recordId: string, more: Partial<BaseRow> = {}): BaseRow {
  return { side: 0, collection: "sales", recordId, version: 1, audience: "shop:a", deleted: 0, fields: {}, ...more };
}

function mutation(place: number, more: Partial<MutationRow> = {}): MutationRow {
  return {
    place,
    uid: `uid-${place}`,
    clientId: "client",
    mutationId: place,
    collection: "sales",
    recordId: `record-${place}`,
    body: { uid: `uid-${place}`, op: "create" },
    madeAt: "2026-11-23T09:00:00.000Z",
    state: "pending",
    shown: "unsent",
    version: null,
    verdict: null,
    settledAt: null,
    ...more,
  };
}

const places = (rows: readonly MutationRow[]) => rows.map((row) => row.place);

/** Describe the suite; `open` gives an empty store. */
export function storeSuite(name: string, open: () => Promise<Store> | Store): void {
  describe(name, () => {
    test("what was written is read, copied in and copied out", async () => {
      const store = await open();
      const row = baseRow("one", { fields: { tags: ["a"] } });
      await store.write((tx) => tx.base.put([row]));
      row.version = 99;
      const found = await store.read((tx) => tx.base.get([0, "sales", "one"]));
      expect(found).toEqual(baseRow("one", { fields: { tags: ["a"] } }));
      found!.version = 98;
      expect((await store.read((tx) => tx.base.get([0, "sales", "one"])))?.version).toBe(1);
      await store.close();
    });

    test("a write that throws leaves nothing, and its error comes through", async () => {
      const store = await open();
      const failing = store.write(async (tx) => {
        await tx.series.put([{ name: "till", last: 7 }]);
        await tx.base.put([baseRow("one")]);
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(await store.read((tx) => tx.series.get("till"))).toBeUndefined();
      expect(await store.read((tx) => tx.base.count({}))).toBe(0);
      await store.close();
    });

    test("writers wait for each other: no number is given twice", async () => {
      const store = await open();
      const next = () =>
        store.write(async (tx) => {
          const last = ((await tx.series.get("till"))?.last ?? 0) + 1;
          await tx.series.put([{ name: "till", last }]);
          return last;
        });
      const numbers = await Promise.all(Array.from({ length: 20 }, next));
      expect(numbers.sort((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
      await store.close();
    });

    test("ranges go by index, from a value, backwards and so far", async () => {
      const store = await open();
      const rows = [5, 3, 1, 4, 2].map((place) => mutation(place, { state: place === 4 ? "settled" : "pending" }));
      await store.write((tx) => tx.mutations.put(rows));
      const pending = { index: "number", prefix: ["pending", "client"] };
      await store.read(async (tx) => {
        expect(places(await tx.mutations.range({}))).toEqual([1, 2, 3, 4, 5]);
        expect(places(await tx.mutations.range(pending))).toEqual([1, 2, 3, 5]);
        expect(places(await tx.mutations.range({ ...pending, from: 3 }))).toEqual([3, 5]);
        expect(places(await tx.mutations.range({ ...pending, limit: 2 }))).toEqual([1, 2]);
        expect(places(await tx.mutations.range({ ...pending, reverse: true, limit: 2 }))).toEqual([5, 3]);
        expect(places(await tx.mutations.range({ index: "uid", prefix: ["uid-4"] }))).toEqual([4]);
        expect(places(await tx.mutations.range({ index: "number", prefix: ["pend"] }))).toEqual([]);
        expect(await tx.mutations.count({ index: "number", prefix: ["pending"] })).toBe(4);
        expect(await tx.mutations.count({})).toBe(5);
        expect(places(await tx.mutations.range({ from: 4 }))).toEqual([4, 5]);
      });
      await store.close();
    });

    test("a row without an index's member is not in that index", async () => {
      const store = await open();
      const hidden = mutation(2);
      delete hidden.shown;
      await store.write((tx) => tx.mutations.put([mutation(1), hidden, mutation(3, { shown: "returning" })]));
      await store.read(async (tx) => {
        expect(places(await tx.mutations.range({ index: "shown", prefix: ["unsent"] }))).toEqual([1]);
        expect(places(await tx.mutations.range({ index: "shown", prefix: ["returning", "sales"] }))).toEqual([3]);
        expect(places(await tx.mutations.range({ index: "record", prefix: ["sales", "record-2"] }))).toEqual([2]);
      });
      await store.close();
    });

    test("several are found by a unique index, and no two rows share its value", async () => {
      const store = await open();
      await store.write((tx) => tx.mutations.put([mutation(1), mutation(2), mutation(3)]));
      const found = await store.read((tx) => tx.mutations.find("uid", ["uid-3", "uid-1", "uid-9"]));
      expect(places(found).sort()).toEqual([1, 3]);
      expect(await store.read((tx) => tx.mutations.find("uid", []))).toEqual([]);
      await expect(store.write((tx) => tx.mutations.put([mutation(4, { uid: "uid-1" })]))).rejects.toThrow();
      expect(await store.read((tx) => tx.mutations.count({}))).toBe(3);
      await store.close();
    });

    test("rows go by key and by range, and nothing else goes", async () => {
      const store = await open();
      const rows = [baseRow("one"), baseRow("two", { audience: "shop:b" }), baseRow("one", { side: 1 })];
      await store.write((tx) => tx.base.put(rows));
      await store.write((tx) => tx.base.removeRange({ index: "bucket", prefix: ["sales", "shop:b"] }));
      expect(await store.read((tx) => tx.base.count({}))).toBe(2);
      await store.write((tx) => tx.base.removeRange({ prefix: [1] }));
      expect((await store.read((tx) => tx.base.range({}))).map((row) => row.side)).toEqual([0]);
      await store.write((tx) =>
        tx.base.remove([
          [0, "sales", "one"],
          [0, "sales", "none"],
        ]),
      );
      expect(await store.read((tx) => tx.base.count({}))).toBe(0);
      await store.close();
    });

    test("a closed store refuses", async () => {
      const store = await open();
      await store.close();
      await expect(store.read((tx) => tx.base.count({}))).rejects.toThrow("closed");
      await expect(store.write(async () => 1)).rejects.toThrow("closed");
    });
  });
}
