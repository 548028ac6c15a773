/**
 * The view: what a person sees is the base with the device's own mutations replayed on top.
 *
 * The overlay is small on purpose: fields are simply set, increments added, tags put in and taken out; a creation gets
 * the defaults that the server will give it. Who wins against others is the server's to say, and comes back with the
 * next pull; until then a person sees what they did.
 */
import { addDecimals } from "./decimal";
import { COLLECTIONS } from "./generated/collections";
import type { CollectionShape, Json } from "./shape";
import type { Tx } from "./store";
import type { BaseRow, Meta, MutationRow, Shown } from "./tables";
import type { Content, Fields, ViewRecord } from "./types";

const SHOWN: readonly Shown[] = ["unsent", "returning"];
const SHAPES: { readonly [name: string]: CollectionShape | undefined } = COLLECTIONS;

/** A record in the making; `touched` once a mutation of this device changed it. */
interface Replayed {
  readonly recordId: string;
  version: number;
  deleted: boolean;
  fields: { [name: string]: Json };
  exists: boolean;
  touched: boolean;
  unsent: number;
}

/** A collection's live records by id. */
export async function viewRecords(tx: Tx, meta: Meta, collection: string): Promise<Map<string, ViewRecord>> {
  const [bases, mutations] = await Promise.all([
    tx.base.range({ prefix: [meta.shownSide, collection] }),
    shownOf(tx, [collection]),
  ]);
  const found = new Map(bases.map((row) => [row.recordId, started(row)]));
  replay(found, mutations);
  const live = [...found.values()].filter((one) => one.exists && !one.deleted);
  return new Map(live.map((one) => [one.recordId, seen(one)]));
}

/** One record, also where it is deleted; null where there is none. */
export async function viewRecord(tx: Tx, meta: Meta, collection: string, recordId: string): Promise<ViewRecord | null> {
  const [base, mutations] = await Promise.all([
    tx.base.get([meta.shownSide, collection, recordId]),
    shownOf(tx, [collection, recordId]),
  ]);
  const found = new Map(base === undefined ? [] : [[recordId, started(base)]]);
  replay(found, mutations);
  const one = found.get(recordId);
  return one?.exists === true ? seen(one) : null;
}

/** A record's state as the overlay sees it. */
export type Seen = Pick<BaseRow, "version" | "fields"> & { readonly deleted: boolean };

/** Replay one mutation over a record, as the view does; null is no record. `defaults`: what a creation begins with. */
export function overlay(record: Seen | null, mutation: Content, defaults: Fields = {}): Seen | null {
  const one = {
    ...blank("", record?.fields ?? null),
    version: record?.version ?? 0,
    deleted: record?.deleted ?? false,
  };
  apply(one, mutation, defaults);
  return one.exists ? { version: one.version, fields: one.fields, deleted: one.deleted } : null;
}

async function shownOf(tx: Tx, prefix: readonly string[]): Promise<MutationRow[]> {
  const rows = await Promise.all(
    SHOWN.map((shown) => tx.mutations.range({ index: "shown", prefix: [shown, ...prefix] })),
  );
  return rows.flat().sort((one, other) => one.place - other.place);
}

function replay(found: Map<string, Replayed>, mutations: readonly MutationRow[]): void {
  for (const row of mutations) {
    const one = found.get(row.recordId) ?? blank(row.recordId, null);
    found.set(row.recordId, one);
    apply(one, row.body, defaultsOf(row.collection));
    if (row.shown === "unsent") one.unsent += 1;
  }
}

function apply(one: Replayed, mutation: Content, defaults: Fields): void {
  const said = mutation.fields ?? {};
  if (mutation.op === "create") {
    if (one.exists) return; // the server has it already, and knows more about it
    one.exists = true;
    Object.assign(one.fields, defaults);
  } else if (mutation.op !== "update") {
    one.deleted = mutation.op === "delete";
  } else if (one.deleted && (one.touched || (mutation.base_version ?? 0) >= one.version)) {
    one.deleted = Object.keys(said).length === 0; // an edit that saw the deletion brings it back
  }
  Object.assign(one.fields, said);
  for (const [name, delta] of Object.entries(mutation.increments ?? {}))
    one.fields[name] = sum(one.fields[name], delta);
  for (const [name, tags] of Object.entries(mutation.removes ?? {})) {
    one.fields[name] = tagsIn(one.fields[name]).filter((tag) => !tags.includes(tag));
  }
  for (const [name, tags] of Object.entries(mutation.adds ?? {})) {
    one.fields[name] = [...new Set([...tagsIn(one.fields[name]), ...tags])].sort();
  }
  one.touched = true;
}

/** What a creation of the collection begins with. */
export function defaultsOf(collection: string): Fields {
  const fields = Object.entries(SHAPES[collection]?.fields ?? {});
  return Object.fromEntries(
    fields.flatMap(([name, field]) => (field.default === undefined ? [] : [[name, field.default]])),
  );
}

function sum(value: Json | undefined, delta: string): Json {
  if (typeof value === "number") return value + Number(delta);
  return addDecimals(typeof value === "string" ? value : "0", delta);
}

function tagsIn(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((tag): tag is string => typeof tag === "string") : [];
}

function blank(recordId: string, fields: Fields | null): Replayed {
  const exists = fields !== null;
  return { recordId, version: 0, deleted: false, fields: { ...fields }, exists, touched: false, unsent: 0 };
}

function started(row: BaseRow): Replayed {
  return { ...blank(row.recordId, row.fields), version: row.version, deleted: row.deleted === 1 };
}

function seen(one: Replayed): ViewRecord {
  const { recordId, version, deleted, fields, unsent } = one;
  return { recordId, version, deleted, fields, unsent };
}
