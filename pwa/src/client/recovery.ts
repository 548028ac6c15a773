/**
 * Recovery: what becomes of the queue when the server counts otherwise, or has lost some of its history.
 *
 * 1. Uids never change, so whatever is sent twice is recognised and answered by its stored verdict. When it was settled
 *    stays with it: where the server keeps no verdict of it any more, it is settled still, and nobody is asked about
 * it.
 * 2. Numbers are the sending order: what is queued again comes before what was never sent, in the order it was made,
 *    and is numbered without holes from the one the server expects.
 * 3. A new client id means that earlier writes of the old one are a stranger's. A verdict `applied` says that the
 *    record then held nothing this device had not seen, so later edits of it may say they have seen that version.
 * 4. Versions of another epoch mean nothing: what is sent again says it has seen nothing but its own writes.
 * 5. Where the server asks for what was pruned from the journal, the queue goes on after that and the request says so
 *    (`resumeFrom`): the server lists the hole. What was pruned is remembered, not guessed from the numbers that are
 *    left: a rejected mutation's stays for ever, and an erased one's is gone without a loss.
 * 6. What a backup covers is said of one history and one client id (`safeMutationId`): it ends with either.
 */
import { recordName } from "./base";
import { show } from "./queue";
import type { Tx } from "./store";
import type { Meta, MutationRow } from "./tables";
import type { Content, EntryState } from "./types";

/** The database was copied: go on under an id of its own, from number 1. */
export async function takeNewClient(tx: Tx, meta: Meta, clientId: string): Promise<void> {
  const waiting = await inStates(tx, "waiting"); // its end is told to its sender
  for (const row of waiting) row.state = "pending";
  await tx.mutations.put(waiting);
  await raiseSeen(tx);
  meta.clientId = clientId;
  meta.resumeFrom = null;
  meta.safeMutationId = 0;
  meta.prunedTo = 0;
  await number(tx, meta, 1);
}

/** Go on from the number the server expects, with what the journal has from there on. */
export async function resume(tx: Tx, meta: Meta, expected: number): Promise<void> {
  meta.safeMutationId = Math.min(meta.safeMutationId, expected - 1);
  const taken = await inStates(tx, "waiting", "settled");
  const again = taken.filter((row) => row.clientId === meta.clientId && row.mutationId >= expected);
  for (const row of again) queueAgain(row);
  await tx.mutations.put(again);
  await number(tx, meta, expected);
}

/** The server lost some of its history: queue all that was ever taken, then what is pending. */
export async function beginEpoch(tx: Tx, meta: Meta, epoch: string, lastMutationId: number): Promise<void> {
  meta.epoch = epoch;
  meta.safeMutationId = 0;
  const rows = await inStates(tx, "pending", "waiting", "settled");
  for (const row of rows) {
    queueAgain(row);
    if (row.body.op !== "noop") row.body = { ...row.body, base_version: 0, epoch };
  }
  await tx.mutations.put(rows);
  await number(tx, meta, lastMutationId + 1);
}

/** Number what is queued from where the server stands, or from after the hole that begins there. */
async function number(tx: Tx, meta: Meta, expected: number): Promise<void> {
  meta.resumeFrom = expected <= meta.prunedTo ? meta.prunedTo + 1 : null;
  const start = meta.resumeFrom ?? expected;
  const pending = await inStates(tx, "pending");
  const rows = pending.filter((row) => row.clientId !== meta.clientId || row.mutationId >= expected);
  for (const [at, row] of rows.entries()) {
    row.clientId = meta.clientId;
    row.mutationId = start + at;
  }
  await tx.mutations.put(rows);
  meta.lastIssued = start + rows.length - 1;
}

/** An edit of a record that was `applied` before has seen that version. */
async function raiseSeen(tx: Tx): Promise<void> {
  const applied = new Map<string, number>();
  const raised: MutationRow[] = [];
  for (const row of await inStates(tx, "pending", "settled")) {
    const name = recordName(row);
    const seen = applied.get(name) ?? 0;
    if (row.state === "settled" && row.verdict?.status === "applied")
      applied.set(name, Math.max(seen, row.version ?? 0));
    if (row.state !== "pending" || row.body.op === "noop" || seen <= (row.body.base_version ?? 0)) continue;
    row.body = { ...row.body, base_version: seen } satisfies Content;
    raised.push(row);
  }
  await tx.mutations.put(raised);
}

function queueAgain(row: MutationRow): void {
  const hidden = row.state === "settled" && row.shown === undefined;
  const later = row.shown === "after_swap" || hidden;
  const wasShown = row.shown !== undefined;
  row.state = "pending";
  show(row, wasShown);
  if (later) row.shown = "after_swap";
  row.version = null;
  row.verdict = null;
}

/** Rows in those states, in the order they were made. */
async function inStates(tx: Tx, ...states: EntryState[]): Promise<MutationRow[]> {
  const rows = await Promise.all(states.map((state) => tx.mutations.range({ index: "number", prefix: [state] })));
  return rows.flat().sort((one, other) => one.place - other.place);
}
