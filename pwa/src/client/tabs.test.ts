/** Two tabs on one database: one leads, both see everything, and the lead passes on. */
import { expect, test } from "vitest";
import { openClient } from "./client";
import { deviceKey } from "./devicekey";
import { memoryStore } from "./memory";
import { MemoryLocks, tabsOver, type Channel } from "./tabs";
import { sleepless } from "./testing";

const KEY = `rnt_${"1".repeat(32)}_${"2".repeat(32)}_${"3".repeat(64)}`;

/** Channels of one process that pass messages on at once, to all but who said them. */
function wire(): () => Channel {
  const ends = new Set<(event: MessageEvent) => void>();
  return () => {
    let own: (event: MessageEvent) => void = () => undefined;
    return {
      postMessage: (data) => {
        for (const hear of ends) if (hear !== own) hear(new MessageEvent("message", { data: structuredClone(data) }));
      },
      addEventListener: (_kind, hear) => ends.add((own = hear)),
      close: () => ends.delete(own),
    };
  };
}

test("one tab leads and tells the others what it did; when it is closed, another one leads", async () => {
  const [store, locks, channel] = [memoryStore(), new MemoryLocks(), wire()];
  const tab = (seed: string) =>
    openClient<{ products: { name: string } }>({
      url: "",
      bearer: deviceKey(KEY),
      store: { ...store, close: async () => undefined },
      tabs: tabsOver("shop", locks, channel()),
      runtime: sleepless(seed),
    });
  const [first, second] = [await tab("first"), await tab("second")];
  first.start();
  await until(async () => (await first.status()).leads);
  second.start();
  await until(async () => (await second.status()).code === "unreachable");
  expect((await second.status()).leads).toBe(false);
  const sizes: number[] = [];
  first.liveRecords("products").subscribe((records) => sizes.push(records.size));
  await until(async () => sizes.length === 1);
  await second.create("products", { name: "Caffè" });
  await until(async () => sizes.at(-1) === 1);
  expect((await first.status()).pending).toBe(1);
  await first.close();
  await until(async () => (await second.status()).leads);
  await second.close();
});

test("a change that touches one record reads that record, and tells a new map", async () => {
  const store = memoryStore();
  let reads = 0;
  const counting = {
    ...store,
    read: <R>(work: Parameters<typeof store.read<R>>[0]) => ((reads += 1), store.read(work)),
  };
  const client = await openClient<{ products: { name: string } }>({ url: "", bearer: deviceKey(KEY), store: counting });
  const coffee = await client.create("products", { name: "Caffè" });
  const tea = await client.create("products", { name: "Tè" });
  const live = client.liveRecords("products");
  const before = await live.get();
  reads = 0;
  await client.update("products", coffee.recordId, { name: "Caffè lungo" });
  const after = await live.get();
  expect(after.get(coffee.recordId)?.fields.name).toBe("Caffè lungo");
  expect(after.get(tea.recordId)).toBe(before.get(tea.recordId));
  expect(before.get(coffee.recordId)?.fields.name).toBe("Caffè");
  expect(reads).toBeLessThanOrEqual(2);
  await client.delete("products", tea.recordId);
  expect([...(await live.get()).keys()]).toEqual([coffee.recordId]);
  expect((await client.record("products", tea.recordId))?.deleted).toBe(true);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((done) => setTimeout(done, 1));
}
