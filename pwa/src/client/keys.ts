/** Keys as IndexedDB orders them, for stores that have no IndexedDB beneath. */
import type { Key, Part } from "./store";

/** A row's key or index value; null where a part is absent, and the row is not in that index. */
export function keyOf(row: object, members: readonly string[]): readonly Part[] | null {
  const parts: Part[] = [];
  for (const member of members) {
    const part: unknown = Reflect.get(row, member);
    if (typeof part !== "string" && typeof part !== "number") return null;
    parts.push(part);
  }
  return parts;
}

/** A key as a list of its parts. */
export function partsOf(key: Key): readonly Part[] {
  return typeof key === "object" ? key : [key];
}

/** Numbers before texts; texts by their code units; part by part. */
export function compareKeys(one: readonly Part[], other: readonly Part[]): number {
  const shared = Math.min(one.length, other.length);
  for (let at = 0; at < shared; at += 1) {
    const order = compareParts(one[at]!, other[at]!);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

export function compareParts(one: Part, other: Part): number {
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
