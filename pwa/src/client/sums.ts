/**
 * Sums: the digest of each bucket of the base, kept up to date by what is written, so that a check compares numbers.
 *
 * Damage to a row, by the disk or by anything but this app, does not change them: a recount makes them of the rows
 * anew.
 */
import { minus, plus, recordHash } from "./digest";
import type { Tx } from "./store";
import type { BaseRow } from "./tables";
import type { Bucket } from "./wire";

/** What of a record counts: tombstones do not. */
export type Live = Pick<BaseRow, "collection" | "audience" | "recordId" | "version">;

/** What the server's digests of a side must be, by `[collection, audience]`: only buckets that have live records. */
export async function sumsOf(tx: Tx, side: number): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.sums.range({ prefix: [side] });
  return new Map(rows.filter((row) => row.sum !== 0).map((row) => [bucketName(row), row.sum]));
}

/** Some of a side's records went, or are of another version; others came. */
export async function replaceSums(tx: Tx, side: number, gone: readonly Live[], come: readonly Live[]): Promise<void> {
  const change = new Map<string, { readonly bucket: Bucket; by: number }>();
  const note = (live: Live, add: (one: number, other: number) => number) => {
    const noted = change.get(bucketName(live)) ?? { bucket: live, by: 0 };
    noted.by = add(noted.by, recordHash(live.collection, live.recordId, live.version));
    change.set(bucketName(live), noted);
  };
  for (const live of gone) note(live, minus);
  for (const live of come) note(live, plus);
  for (const { bucket, by } of change.values()) {
    const { collection, audience } = bucket;
    const known = await tx.sums.get([side, collection, audience]);
    await tx.sums.put([{ side, collection, audience, sum: plus(known?.sum ?? 0, by) }]);
  }
}

/** Buckets went whole, from either side. */
export async function dropSums(tx: Tx, buckets: readonly Bucket[]): Promise<void> {
  await tx.sums.remove(
    buckets.flatMap(({ collection, audience }) => [0, 1].map((side) => [side, collection, audience])),
  );
}

/** Make a side's sums from its rows: slow, for it reads and hashes them all. */
export async function recountSums(tx: Tx, side: number): Promise<void> {
  await tx.sums.removeRange({ prefix: [side] });
  const rows = await tx.base.range({ prefix: [side] });
  await replaceSums(
    tx,
    side,
    [],
    rows.filter((row) => row.deleted === 0),
  );
}

export function bucketName(bucket: Bucket): string {
  return JSON.stringify([bucket.collection, bucket.audience]);
}
