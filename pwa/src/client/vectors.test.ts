/** The JSON vectors of the kernel, which pytest reads as well: what they say holds on both sides. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { clamp, decodeInstant, encodeInstant, later } from "./clock";
import {
  addDecimals,
  canonicalDecimal,
  centsOf,
  decimalText,
  moneyText,
  netOfGross,
  timesCents,
  unitsOf,
} from "./decimal";
import { MODULUS, minus, plus, recordHash } from "./digest";
import { sha256 } from "./sha256";
import { seeded } from "./testing";
import type { Content, Fields } from "./types";
import { overlay } from "./view";

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}`, import.meta.url), "utf8")) as T;
}

interface ClockVectors {
  readonly instants: readonly { readonly text: string; readonly ms: number }[];
  readonly refused: readonly string[];
  readonly clamp: readonly {
    readonly timestamp: string;
    readonly now: string;
    readonly used: string;
    readonly clamped: boolean;
  }[];
  readonly later: readonly { readonly own: string; readonly previous: string; readonly stored: string }[];
}

interface DecimalVectors {
  readonly types: readonly {
    readonly name: string;
    readonly digits: number;
    readonly places: number;
    readonly accepted: readonly { readonly text: string; readonly canonical: string; readonly units: string }[];
    readonly refused: readonly unknown[];
  }[];
}

describe("clock.json", () => {
  const clock = vectors<ClockVectors>("clock.json");

  test.each(clock.instants)("$text is an instant, both ways", ({ text, ms }) => {
    expect([decodeInstant(text), encodeInstant(ms)]).toEqual([ms, text]);
  });

  test("what is no instant is refused", () => {
    expect(clock.refused.filter((text) => !throws(() => decodeInstant(text)))).toEqual([]);
  });

  test.each(clock.clamp)("$timestamp at $now", ({ timestamp, now, used, clamped }) => {
    expect(clamp(timestamp, now)).toEqual({ timestamp: used, clamped });
  });

  test.each(clock.later)("$own after $previous", ({ own, previous, stored }) => {
    expect(later(own, previous)).toBe(stored);
  });
});

describe.each(vectors<DecimalVectors>("decimal.json").types)(
  "decimal.json: $name",
  ({ digits, places, accepted, refused }) => {
    test("what fits has one canonical form, and its smallest units", () => {
      for (const { text, canonical, units } of accepted) {
        expect(canonicalDecimal(text, digits, places)).toBe(canonical);
        expect([unitsOf(canonical, places), decimalText(BigInt(units), places)]).toEqual([BigInt(units), canonical]);
      }
    });

    test("what does not fit is refused, never rounded", () => {
      expect(refused.filter((value) => canonicalDecimal(value, digits, places) !== null)).toEqual([]);
    });
  },
);

interface MergeState {
  readonly version: number;
  readonly deleted: boolean;
  readonly fields: Fields;
}

interface MergeVectors {
  readonly collections: { readonly [name: string]: { readonly defaults: Fields } };
  readonly cases: readonly {
    readonly name: string;
    readonly record: MergeState | null;
    readonly mutation: Content & { readonly collection: string };
    readonly outcome: { readonly status: string; readonly record: MergeState | null };
  }[];
}

describe("merge.json: where nobody else wrote meanwhile, what is seen at once is what the kernel makes of it", () => {
  const { collections, cases } = vectors<MergeVectors>("merge.json");
  const applied = cases.filter((one) => one.outcome.status === "applied" && one.outcome.record !== null);

  test.each(applied)("$name", ({ record, mutation, outcome }) => {
    const seen = overlay(record, mutation, collections[mutation.collection]?.defaults);
    expect(seen?.deleted).toBe(outcome.record!.deleted);
    expect(seen?.fields).toEqual(outcome.record!.fields);
  });

  test("there are many", () => expect(applied.length).toBeGreaterThan(20));
});

test("cents go both ways, and what is no money throws", () => {
  expect(["0.00", "12.5", "-0.01", "99999999.99"].map(centsOf)).toEqual([0, 1250, -1, 9_999_999_999]);
  expect([0, 1250, -1, 9_999_999_999].map(moneyText)).toEqual(["0.00", "12.50", "-0.01", "99999999.99"]);
  for (const bad of ["0.001", "100000000.00", "1e3", "NaN", ""]) expect(() => centsOf(bad)).toThrow(RangeError);
  for (const bad of [0.5, 1e10, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => moneyText(bad)).toThrow(RangeError);
});

test("sums are exact, products and VAT are rounded half up", () => {
  expect(addDecimals("0.10", "0.2")).toBe("0.30");
  expect(addDecimals("100.000", "-100.001")).toBe("-0.001");
  expect(timesCents("0.333", 999)).toBe(333);
  expect(timesCents("0.5", 1)).toBe(1);
  expect(timesCents("-0.5", 1)).toBe(-1);
  expect(netOfGross(6000, "10.00")).toBe(5455); // 60.00 at 10 % is 54.55 + 5.45
  expect(netOfGross(1220, "22.00")).toBe(1000);
});

test("SHA-256 is SHA-256, at every length around a block's end", () => {
  for (let length = 0; length < 200; length += 1) {
    const text = "è".repeat(length % 7) + "x".repeat(length);
    const hex = Array.from(sha256(text), (word) => word.toString(16).padStart(8, "0")).join("");
    expect(hex).toBe(createHash("sha256").update(text).digest("hex"));
  }
});

test("a digest is a sum of 52 bits of SHA-256, exact in any order", () => {
  const hex = createHash("sha256").update("sales\n0190\n3").digest("hex");
  expect(recordHash("sales", "0190", 3)).toBe(Number(BigInt(`0x${hex}`) >> 204n));
  const random = seeded("digest");
  const parts = Array.from({ length: 100 }, () => recordHash("sales", String(random()), 1));
  const expected = Number(parts.reduce((total, one) => total + BigInt(one), 0n) % BigInt(MODULUS));
  expect(parts.reduce(plus, 0)).toBe(expected);
  expect(parts.reduce(minus, expected)).toBe(0);
});

function throws(work: () => unknown): boolean {
  try {
    work();
  } catch {
    return true;
  }
  return false;
}
