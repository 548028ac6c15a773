/**
 * The base: the server's records as they were last pulled. Only a pull writes here.
 *
 * A rebuild fills a second copy, the building side, beside the shown one, and takes its place when its round has ended:
 * what a person sees is old until then, never half.
 *
 * A record is in one bucket (collection, audience); one that moved comes twice, as a tombstone of the bucket it left
 * and as it is now, both with the version it moved at and in either order. So of equal versions the later one is taken,
 * but not a tombstone of another bucket than the record is known to be in: that is old news.
 */
import type { Tx } from "./store";
import { dropSums, replaceSums, type Live } from "./sums";
import type { BaseRow, Meta } from "./tables";
import type { Bucket, Change } from "./wire";

/** The version somebody who looks at the screen has seen; 0 where there is none, or only another epoch's. */
export async function seenVersion(tx: Tx, meta: Meta, collection: string, recordId: string): Promise<number> {
  if (meta.baseEpoch !== meta.epoch) return 0;
  const row = await tx.base.get([meta.shownSide, collection, recordId]);
  return row?.version ?? 0;
}

/** A page. */
export async function writePage(tx: Tx, meta: Meta, changes: readonly Change[]): Promise<void> {
  const side = meta.buildingSide ?? meta.shownSide;
  const before = await Promise.all(changes.map((change) => tx.base.get([side, change.collection, change.recordId])));
  const known = new Map<string, BaseRow>();
  for (const row of before) if (row !== undefined) known.set(recordName(row), row);
  const gone = new Map<string, Live>();
  const written = new Map<string, BaseRow>();
  for (const change of changes) {
    const name = recordName(change);
    const current = known.get(name);
    if (current !== undefined && !replaces(change, current)) continue;
    if (current?.deleted === 0 && !written.has(name)) gone.set(name, current);
    const row = rowOf(side, change);
    known.set(name, row);
    written.set(name, row);
  }
  const rows = [...written.values()];
  await tx.base.put(rows);
  await replaceSums(
    tx,
    side,
    [...gone.values()],
    rows.filter((row) => row.deleted === 0),
  );
}

/** A record that was erased for good: nothing of it stays, in neither copy. */
export async function eraseRecord(tx: Tx, collection: string, recordId: string): Promise<void> {
  for (const side of [0, 1]) {
    const row = await tx.base.get([side, collection, recordId]);
    if (row?.deleted === 0) await replaceSums(tx, side, [row], []);
    await tx.base.remove([[side, collection, recordId]]);
  }
}

/** Buckets that are out of this device's reach: nothing of them stays, in neither copy. */
export async function dropBuckets(tx: Tx, buckets: readonly Bucket[]): Promise<void> {
  for (const { collection, audience } of buckets) {
    await tx.base.removeRange({ index: "bucket", prefix: [collection, audience] });
  }
  await dropSums(tx, buckets);
}

/** Begin a second copy from nothing; one begun before is thrown away. */
export async function startRebuild(tx: Tx, meta: Meta): Promise<void> {
  meta.buildingSide = 1 - meta.shownSide;
  meta.cursor = null;
  meta.inRound = false;
  await emptySide(tx, meta.buildingSide);
}

/** Show the rebuilt copy. */
export async function swapSides(tx: Tx, meta: Meta): Promise<void> {
  if (meta.buildingSide === null) return;
  await emptySide(tx, meta.shownSide);
  meta.shownSide = meta.buildingSide;
  meta.buildingSide = null;
  meta.baseEpoch = meta.epoch;
}

async function emptySide(tx: Tx, side: number): Promise<void> {
  await tx.base.removeRange({ prefix: [side] });
  await tx.sums.removeRange({ prefix: [side] });
}

function replaces(change: Change, current: BaseRow): boolean {
  if (change.version !== current.version) return change.version > current.version;
  return !change.deleted || change.audience === current.audience;
}

function rowOf(side: number, change: Change): BaseRow {
  const { collection, recordId, version, audience, deleted, fields } = change;
  return { side, collection, recordId, version, audience, deleted: deleted ? 1 : 0, fields };
}

export function recordName(of: { readonly collection: string; readonly recordId: string }): string {
  return `${of.collection}/${of.recordId}`;
}
