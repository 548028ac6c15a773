/**
 * The README's example, as it stands there, run: against a server that cannot be reached, where it must work as well.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as door from "./index";
import { sleepless } from "./testing";

const README = readFileSync(new URL("README.md", import.meta.url), "utf8");
const EXAMPLE = /```ts\n([^]*?)```/.exec(README)?.[1] ?? "";

test("the example has ten lines, and works with no network at all", async () => {
  const lines = EXAMPLE.trim().split("\n");
  expect(lines.length).toBe(10);
  const shown: number[] = [];
  const pills: number[] = [];
  const names = {
    ...door,
    key: `rnt_${"1".repeat(32)}_${"2".repeat(32)}_${"3".repeat(64)}`,
    store: door.memoryStore(),
  };
  const runtime = sleepless("readme");
  const given = {
    ...names,
    openSession: () => door.openSession({ url: "", keep: door.memoryKeep(), runtime }),
    openClient: (settings: Parameters<typeof door.openClient>[0]) => door.openClient({ ...settings, runtime }),
    show: (products: readonly unknown[]) => shown.push(products.length),
    pill: (pending: number) => pills.push(pending),
  };
  const body = `${lines.slice(0, -1).join("\n")}\nreturn { client, stop };`;
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as FunctionConstructor;
  const run = new AsyncFunction(...Object.keys(given), body) as (...all: unknown[]) => Promise<Result>;
  const { client, stop } = await run(...Object.values(given));
  while (shown.at(-1) !== 1 || pills.at(-1) !== 2) await new Promise((done) => setTimeout(done, 1));
  const [coffee] = [...(await client.records("products")).values()];
  expect(coffee).toMatchObject({ unsent: 2, fields: { name: "Caffè", stock: "100.000", active: true, tags: [] } });
  stop();
  await client.close();
});

interface Result {
  readonly client: door.SyncClient<door.Collections>;
  readonly stop: () => void;
}
