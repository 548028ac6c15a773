/**
 * The queue and the journal: this device's own mutations, from the moment they are made until long after their verdict.
 * `EntryState` says which states there are; only a verdict moves a mutation out of pending, whatever else happens.
 */
import { eraseRecord, recordName } from "./base";
import type { Part, Tx } from "./store";
import type { Meta, MutationRow } from "./tables";
import type { EntryState, Verdict } from "./types";

/** What the status pill shows; `oldestPendingAt` is when the oldest unsent mutation was made. */
export interface Counts {
  readonly pending: number;
  readonly waiting: number;
  readonly rejected: number;
  readonly oldestPendingAt: string | null;
}

/** Records that something was done to. */
export type Hit = { readonly collection: string; readonly recordId: string };

/** Which verdicts were news, and whose records they were about. */
export interface Settled {
  readonly news: readonly Verdict[];
  readonly hits: readonly Hit[];
}

const ENCODER = new TextEncoder();

/** The next number of a series: given once, never again, without holes. */
export async function nextNumber(tx: Tx, series: string): Promise<number> {
  const last = (await lastNumber(tx, series)) + 1;
  await tx.series.put([{ name: series, last }]);
  return last;
}

export async function lastNumber(tx: Tx, series: string): Promise<number> {
  return (await tx.series.get(series))?.last ?? 0;
}

/** Go on after `last`; a series never goes back. */
export async function raiseSeries(tx: Tx, series: string, last: number): Promise<void> {
  if (last > (await lastNumber(tx, series))) await tx.series.put([{ name: series, last }]);
}

/** The first pending mutations as JSON: at most `limit`, and `budget` bytes, but one if there is one. */
export async function batchOf(tx: Tx, meta: Meta, limit: number, budget: number): Promise<string[]> {
  const rows = await tx.mutations.range({ index: "number", prefix: ["pending", meta.clientId], limit });
  const texts: string[] = [];
  let left = budget;
  for (const row of rows) {
    const text = JSON.stringify({ mutation_id: row.mutationId, ...row.body });
    left -= ENCODER.encode(text).length + 1;
    if (left < 0 && texts.length > 0) break;
    texts.push(text);
  }
  return texts;
}

/** Take verdicts over. A verdict told twice, or of a stranger, changes nothing. */
export async function settle(tx: Tx, verdicts: readonly Verdict[], now: string): Promise<Settled> {
  const rows = await tx.mutations.find(
    "uid",
    verdicts.map((verdict) => verdict.uid),
  );
  const byUid = new Map(rows.map((row) => [row.uid, row]));
  const changed = new Map<number, MutationRow>();
  const news: Verdict[] = [];
  for (const verdict of verdicts) {
    const row = byUid.get(verdict.uid);
    if (row === undefined || (row.state !== "pending" && row.state !== "waiting")) continue;
    settleOne(row, verdict, now);
    changed.set(row.place, row);
    news.push(verdict);
  }
  await tx.mutations.put([...changed.values()]);
  for (const verdict of verdicts) {
    const row = byUid.get(verdict.uid);
    if (verdict.code === "erased" && row !== undefined) {
      await forget(tx, row, row.uid);
      await eraseRecord(tx, row.collection, row.recordId);
    }
  }
  return { news, hits: [...changed.values()] };
}

/** Mutations whose effect has come back with a pull are not replayed any more; their records. */
export async function leaveView(tx: Tx, meta: Meta): Promise<readonly Hit[]> {
  if (meta.buildingSide !== null) return []; // the shown side is old news until the swap
  const rows = await tx.mutations.range({ index: "shown", prefix: ["returning"] });
  const bases = await Promise.all(rows.map((row) => tx.base.get([meta.shownSide, row.collection, row.recordId])));
  return hide(
    tx,
    rows.filter((row, at) => row.version !== null && row.version <= (bases[at]?.version ?? -1)),
  );
}

/**
 * After a bucket was lost, what was taken there never comes back: nor is it replayed. One that lies in another bucket
 * and has not come yet is shown again as soon as it does.
 */
export async function leaveLost(tx: Tx, meta: Meta, collections: Iterable<string>): Promise<readonly Hit[]> {
  const gone: MutationRow[] = [];
  for (const collection of new Set(collections)) {
    const rows = await tx.mutations.range({ index: "shown", prefix: ["returning", collection] });
    const bases = await Promise.all(rows.map((row) => tx.base.get([meta.shownSide, row.collection, row.recordId])));
    gone.push(...rows.filter((_row, at) => bases[at] === undefined));
  }
  return hide(tx, gone);
}

/** After a swap the base lacks what is queued again: replay it. */
export async function joinView(tx: Tx): Promise<void> {
  const rows = await tx.mutations.range({ index: "shown", prefix: ["after_swap"] });
  for (const row of rows) show(row, true);
  await tx.mutations.put(rows);
}

/** The highest number whose mutation the server must know: it said that it took it. */
export async function lastTaken(tx: Tx, meta: Meta): Promise<number> {
  let highest = 0;
  for (const state of ["settled", "waiting"]) {
    const [row] = await tx.mutations.range({
      index: "number",
      prefix: [state, meta.clientId],
      limit: 1,
      reverse: true,
    });
    highest = Math.max(highest, row?.mutationId ?? 0);
  }
  return highest;
}

/** Forget the journal where a verified backup covers it and it is older than `before`, and note how far. */
export async function prune(tx: Tx, meta: Meta, before: string): Promise<void> {
  const settled = await tx.mutations.range({ index: "number", prefix: ["settled"] });
  const covered = settled.filter((row) => row.clientId === meta.clientId && row.mutationId <= meta.safeMutationId);
  const end = covered.reduce((highest, row) => Math.max(highest, row.place), -1);
  const gone = settled.filter((row) => row.place <= end && row.settledAt !== null && row.settledAt < before);
  await tx.mutations.remove(gone.map((row) => row.place));
  for (const row of gone) if (row.clientId === meta.clientId) meta.prunedTo = Math.max(meta.prunedTo, row.mutationId);
}

/** How many are in the states a person cares about. */
export async function countsOf(tx: Tx, meta: Meta): Promise<Counts> {
  const count = (state: EntryState) => tx.mutations.count({ index: "number", prefix: [state] });
  const oldest = { index: "number", prefix: ["pending", meta.clientId] as readonly Part[], limit: 1 };
  const [pending, waiting, rejected, [first]] = await Promise.all([
    count("pending"),
    count("waiting"),
    count("rejected"),
    tx.mutations.range(oldest),
  ]);
  return { pending, waiting, rejected, oldestPendingAt: first?.madeAt ?? null };
}

/** What this device ever said of a record goes, but the numbers of what is queued, and the entry `kept`. */
export async function forget(tx: Tx, of: Hit, kept = ""): Promise<void> {
  const rows = await tx.mutations.range({ index: "record", prefix: [of.collection, of.recordId] });
  const stays = (row: MutationRow) => row.state === "pending" || row.uid === kept;
  await tx.mutations.remove(rows.filter((row) => !stays(row)).map((row) => row.place));
  const emptied = rows.filter(stays);
  for (const row of emptied) {
    row.body = { uid: row.uid, op: "noop" };
    show(row, false);
  }
  await tx.mutations.put(emptied);
}

/** Set whether the view replays a row, by the state it is in. */
export function show(row: MutationRow, shown: boolean): void {
  if (!shown) delete row.shown;
  else row.shown = row.state === "settled" ? "returning" : "unsent";
}

/** The records of rows, each once. */
export function hitsOf(rows: readonly Hit[]): readonly Hit[] {
  return [...new Map(rows.map((row) => [recordName(row), row])).values()];
}

async function hide(tx: Tx, rows: readonly MutationRow[]): Promise<readonly Hit[]> {
  for (const row of rows) show(row, false);
  await tx.mutations.put(rows);
  return hitsOf(rows);
}

/**
 * The state for what was never settled before, and for what was once: where no verdict is kept, it is settled still.
 */
function settleOne(row: MutationRow, verdict: Verdict, now: string): void {
  const expired = verdict.code === "verdict_expired";
  const again = row.settledAt !== null;
  let state: EntryState = "settled";
  let stays = verdict.version !== null;
  if (verdict.status === "waiting") [state, stays] = ["waiting", true];
  else if (verdict.status === "rejected" || expired) [state, stays] = ["rejected", false];
  const afterSwap = row.shown === "after_swap";
  const wasShown = row.shown !== undefined;
  row.state = again && expired ? "settled" : state;
  show(row, stays && wasShown);
  if (stays && afterSwap) row.shown = "after_swap";
  row.version = verdict.version;
  row.verdict = verdict;
  row.settledAt = state === "waiting" ? null : now;
}
