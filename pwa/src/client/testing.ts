/** What the library's tests share: chance that is seeded, and time that is moved by hand. */
import type { Fetch, Runtime } from "./runtime";

export const START_MS = 1_795_424_400_000; // 2026-11-23T09:00:00Z

/** The same numbers for the same seed: 0 ≤ x < 1 (mulberry32 over an FNV-1a hash). */
export function seeded(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const character of seed) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TestRuntime extends Runtime {
  /** The clock; sleeping takes no time but moves it. */
  nowMs: number;
  readonly slept: number[];
}

/** A runtime that sleeps in no time; `fetch` is the network. */
export function seededRuntime(seed: string, fetch: Fetch = nowhere): TestRuntime {
  const random = seeded(seed);
  const slept: number[] = [];
  const runtime: TestRuntime = {
    nowMs: START_MS,
    slept,
    clockMs: () => runtime.nowMs,
    async sleep(seconds) {
      slept.push(seconds);
      if (slept.length > 1000) throw new Error("nothing gets on: it backs off for ever");
      runtime.nowMs += Math.ceil(seconds * 1000);
      await new Promise((done) => setTimeout(done, 0));
    },
    random,
    randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
    fetch,
  };
  return runtime;
}

/** The same, but sleeping takes for ever, until it is told to stop. */
export function sleepless(seed: string): Runtime {
  const sleep: Runtime["sleep"] = (_seconds, signal) =>
    new Promise((done) => (signal?.aborted === true ? done() : signal?.addEventListener("abort", () => done())));
  return { ...seededRuntime(seed), sleep };
}

async function nowhere(): Promise<Response> {
  throw new TypeError("no route");
}
