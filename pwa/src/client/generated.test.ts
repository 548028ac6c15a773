/** The generated types are what the script makes of the kept schema; pytest compares that with what is served. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { COLLECTIONS, PROTOCOL } from "./generated/collections";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

test("collections.ts is made from schema.json, and not by hand", () => {
  const made = execFileSync(process.execPath, [at("../../scripts/collections.mjs"), "--print"], { encoding: "utf8" });
  expect(readFileSync(at("generated/collections.ts"), "utf8")).toBe(made);
});

test("it knows what the overlay needs", () => {
  expect(PROTOCOL).toBe(1);
  expect(COLLECTIONS.products.fields["stock"]).toMatchObject({ policy: "counter", places: 3, default: "0.000" });
});
