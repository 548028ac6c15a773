/**
 * The check: whether the base is what the server says, told by a few numbers.
 *
 * 1. The sums kept with the base are compared with each digest. They are made anew from the rows first where they
 *    differ from it, and the first time after the database was opened and once a day: what damaged a row told no sum.
 * 2. Where the rows differ, that is counted, and the copy is made anew beside the shown one; not again before they have
 *    agreed once, for then the fault is not here. What differs is counted once, however often it is told.
 * 3. While a copy is built nothing is compared: there is more to come.
 */
import { startRebuild } from "./base";
import type { Tx } from "./store";
import { bucketName, recountSums, sumsOf } from "./sums";
import type { Meta } from "./tables";
import type { BucketDigest } from "./wire";

export const RECOUNT_MS = 24 * 60 * 60 * 1000;

export class Check {
  private recountedMs: number | null = null;

  constructor(private readonly clockMs: () => number) {}

  /** Compare with what the server told; where it differs, report and rebuild. */
  async compare(tx: Tx, meta: Meta, told: readonly BucketDigest[] | null): Promise<void> {
    if (told === null || meta.buildingSide !== null) return;
    let differs = await differing(tx, meta, told);
    if (this.isDue() || (differs !== null && differs !== meta.disputed)) {
      await recountSums(tx, meta.shownSide);
      differs = await differing(tx, meta, told);
    }
    if (differs !== null && differs !== meta.disputed) {
      meta.differences += 1;
      if (meta.disputed === null) await startRebuild(tx, meta);
    }
    meta.disputed = differs;
  }

  /** Whether a recount is; if so, it is done now. A clock that was put back makes it due, too. */
  private isDue(): boolean {
    const now = this.clockMs();
    if (this.recountedMs !== null && Math.abs(now - this.recountedMs) < RECOUNT_MS) return false;
    this.recountedMs = now;
    return true;
  }
}

/** What was told of buckets that differ, as text; null where there are none. */
async function differing(tx: Tx, meta: Meta, told: readonly BucketDigest[]): Promise<string | null> {
  const theirs = new Map(told.filter((one) => one.sum !== 0).map((one) => [bucketName(one), one.sum]));
  const ours = await sumsOf(tx, meta.shownSide);
  const names = [...new Set([...theirs.keys(), ...ours.keys()])].sort();
  const differ = names.filter((name) => theirs.get(name) !== ours.get(name));
  return differ.length === 0 ? null : JSON.stringify(differ.map((name) => [name, theirs.get(name) ?? 0]));
}
