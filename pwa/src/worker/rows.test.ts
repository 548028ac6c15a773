import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { dexieStore } from "../client/dexie";
import { storeSuite } from "../client/store.suite";
import { STEPS } from "../client/tables";
import { existingStore } from "./rows";

let count = 0;
const fresh = () => `rows-${(count += 1)}`;

/** A database that a page has made. */
async function made(name: string, steps = STEPS): Promise<string> {
  const store = dexieStore(name, steps);
  await store.read((tx) => tx.client.get(1));
  await store.close();
  return name;
}

storeSuite("on plain IndexedDB", async () => (await existingStore(await made(fresh())))!);

test("a database nobody made is not made here", async () => {
  expect(await existingStore("nowhere")).toBeNull();
  expect((await indexedDB.databases()).map((one) => one.name)).not.toContain("nowhere");
});

test("a database of a newer format is left alone", async () => {
  const steps = [...STEPS, { ...STEPS.at(-1)!, format: STEPS.at(-1)!.format + 1 }];
  expect(await existingStore(await made(fresh(), steps))).toBeNull();
});
