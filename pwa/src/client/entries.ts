/**
 * Entries: this device's own mutations as people and checkers read them, with what became of each.
 *
 * Nothing is hidden here: what was rejected keeps its content, what was taken keeps its verdict, and all of it can
 * leave the device as JSON or CSV, also when the server will not have it.
 */
import { InvalidMutationError, UnknownRejectionError } from "./errors";
import type { Op } from "./shape";
import type { Tx } from "./store";
import type { MutationRow } from "./tables";
import type { AnyDraft, Entry, EntryState } from "./types";

const CSV_COLUMNS = ["made_at", "state", "collection", "record_id", "op", "code", "message", "uid", "content"] as const;

/** Those in one of `states` (none named: all), in the order they were made. */
export async function entriesIn(tx: Tx, states: readonly EntryState[]): Promise<Entry[]> {
  if (states.length === 0) return (await tx.mutations.range({})).map(entryOf);
  const rows = await Promise.all(states.map((state) => tx.mutations.range({ index: "number", prefix: [state] })));
  return rows
    .flat()
    .sort((one, other) => one.place - other.place)
    .map(entryOf);
}

/** The row of one entry of "Da controllare". Throws UnknownRejectionError. */
export async function rejectedRow(tx: Tx, uid: string): Promise<MutationRow> {
  const [row] = await tx.mutations.find("uid", [uid]);
  if (row?.state !== "rejected") throw new UnknownRejectionError("there is no such rejected mutation");
  return row;
}

/** Take an entry off the list; its content stays. Throws UnknownRejectionError. */
export async function resolveEntry(tx: Tx, uid: string): Promise<MutationRow> {
  const row = await rejectedRow(tx, uid);
  await tx.mutations.put([{ ...row, state: "resolved" }]);
  return row;
}

/** A draft of an entry's content with some of it replaced. Throws InvalidMutationError for an erased one. */
export function correctedDraft(
  row: MutationRow,
  fields: object,
  increments: { readonly [name: string]: string },
): AnyDraft {
  const { body } = row;
  if (body.op === "noop") throw new InvalidMutationError("this record was erased for good");
  return {
    collection: row.collection,
    op: body.op satisfies Op,
    recordId: row.recordId,
    fields: { ...body.fields, ...fields },
    increments: { ...body.increments, ...increments },
    adds: body.adds ?? {},
    removes: body.removes ?? {},
    ...(body.actor === undefined ? {} : { actor: body.actor }),
  };
}

/** Entries as a document that people can keep and other programs can read. */
export function exportText(entries: readonly Entry[], format: "json" | "csv"): string {
  if (format === "json") return `${JSON.stringify(entries.map(plain), null, 2)}\n`;
  const rows = entries.map((entry) => CSV_COLUMNS.map((column) => csvCell(plain(entry)[column])).join(","));
  return `${[CSV_COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

function plain(entry: Entry) {
  return {
    made_at: entry.madeAt,
    state: entry.state,
    collection: entry.collection,
    record_id: entry.recordId,
    op: entry.content.op,
    code: entry.verdict?.code ?? null,
    message: entry.verdict?.message ?? null,
    uid: entry.uid,
    client_id: entry.clientId,
    mutation_id: entry.mutationId,
    settled_at: entry.settledAt,
    content: entry.content,
  };
}

/** A cell of RFC 4180; what a spreadsheet would take for a formula is kept text. */
function csvCell(value: unknown): string {
  const text = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function entryOf(row: MutationRow): Entry {
  const { uid, clientId, mutationId, collection, recordId, state, madeAt, settledAt, body, verdict } = row;
  return { uid, clientId, mutationId, collection, recordId, state, madeAt, settledAt, content: body, verdict };
}
