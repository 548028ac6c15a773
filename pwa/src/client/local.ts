/**
 * The local half: everything this device knows, and the few transactions that change it.
 *
 * What `write` returned is on disk and will be sent; a page and its cursor are stored together; a mutation leaves the
 * queue only with its verdict; a pull writes the base and never the queue. Who changed what is told when it is on disk.
 */
import { seenVersion } from "./base";
import { Check } from "./check";
import { checkSize, contentOf } from "./draft";
import { correctedDraft, entriesIn, rejectedRow, resolveEntry } from "./entries";
import { ForeignQueueError, InvalidMutationError, type NumberingError } from "./errors";
import { batchOf, countsOf, lastNumber, nextNumber, raiseSeries, type Counts, type Hit } from "./queue";
import { uuid7, type Runtime } from "./runtime";
import { nextStamp, type Took } from "./servertime";
import type { Store, Tx } from "./store";
import { newMeta, type Meta, type MutationRow } from "./tables";
import { takeAnswer, takeNumbering, type Brought, type Means } from "./taking";
import type { AnyDraft, Content, Entry, EntryState, Fields, Made, Taken, Touched, Verdict, ViewRecord } from "./types";
import { viewRecord, viewRecords } from "./view";
import type { Answer, Outgoing } from "./wire";

export class Local {
  /** Called after every transaction that changed what somebody may look at. */
  changed: (touched: Touched) => void = () => undefined;
  /** Called with verdicts that are on disk, each once. */
  judged: (verdicts: readonly Verdict[]) => void = () => undefined;
  private readonly means: Means;

  constructor(
    private readonly store: Store,
    private readonly runtime: Runtime,
    private readonly schema: number | null,
  ) {
    const newId = () => uuid7(runtime);
    this.means = { check: new Check(runtime.clockMs), newId, clockMs: runtime.clockMs };
  }

  close(): Promise<void> {
    return this.store.close();
  }

  /** See that the queue is this owner's; a new database becomes theirs. Throws ForeignQueueError. */
  async claim(owner: string): Promise<void> {
    if ((await this.meta()).owner === owner) return;
    await this.write(async (_tx, meta) => {
      if (meta.owner !== null && meta.owner !== owner) {
        throw new ForeignQueueError("this queue belongs to somebody else: it waits for them");
      }
      meta.owner = owner;
    });
  }

  /** Queue what is wanted, all in one transaction. Throws LocalError; then nothing was written and no number given. */
  async add(drafts: readonly AnyDraft[]): Promise<Made[]> {
    const rows: MutationRow[] = [];
    const made = await this.write(async (tx, meta) => {
      rows.length = 0; // the store may run this again
      const all: Made[] = [];
      for (const draft of drafts) all.push(await this.queue(tx, meta, draft, rows));
      await tx.mutations.put(rows);
      return all;
    });
    this.tell(rows);
    return made;
  }

  /** Queue a corrected version of a rejected mutation, and take that off the list, in one transaction. */
  async resend(uid: string, fields: object, increments: { readonly [name: string]: string }): Promise<Made> {
    const rows: MutationRow[] = [];
    const made = await this.write(async (tx, meta) => {
      rows.length = 0;
      const draft = correctedDraft(await resolveEntry(tx, uid), fields, increments);
      const one = await this.queue(tx, meta, draft, rows);
      await tx.mutations.put(rows);
      return one;
    });
    this.tell(rows);
    return made;
  }

  /** A person has seen it and wants no more of it; it stays in the journal. Throws UnknownRejectionError. */
  async dismiss(uid: string): Promise<void> {
    this.tell([await this.write((tx) => resolveEntry(tx, uid))]);
  }

  /** A rejected mutation. Throws UnknownRejectionError. */
  rejectedRow(uid: string): Promise<MutationRow> {
    return this.store.read((tx) => rejectedRow(tx, uid));
  }

  continueSeries(series: string, last: number): Promise<void> {
    return this.write((tx) => raiseSeries(tx, series, last));
  }

  lastNumber(series: string): Promise<number> {
    return this.store.read((tx) => lastNumber(tx, series));
  }

  records(collection: string): Promise<Map<string, ViewRecord>> {
    return this.read((tx, meta) => viewRecords(tx, meta, collection));
  }

  record(collection: string, recordId: string): Promise<ViewRecord | null> {
    return this.read((tx, meta) => viewRecord(tx, meta, collection, recordId));
  }

  /** Several records of a collection; null where there is none. */
  some(collection: string, recordIds: readonly string[]): Promise<readonly (ViewRecord | null)[]> {
    return this.read((tx, meta) =>
      Promise.all(recordIds.map((recordId) => viewRecord(tx, meta, collection, recordId))),
    );
  }

  entries(states: readonly EntryState[]): Promise<Entry[]> {
    return this.store.read((tx) => entriesIn(tx, states));
  }

  counts(): Promise<Counts> {
    return this.read(countsOf);
  }

  meta(): Promise<Meta> {
    return this.read(async (_tx, meta) => meta);
  }

  /** Counts and the client's own row as of one moment. */
  standing(): Promise<{ readonly counts: Counts; readonly meta: Meta }> {
    return this.read(async (tx, meta) => ({ counts: await countsOf(tx, meta), meta }));
  }

  /** The next request: at most `limit` mutations, which have what the cursor leaves of `budget` bytes. */
  outgoing(limit: number, budget: number): Promise<Outgoing> {
    return this.read(async (tx, meta) => {
      const { clientId, epoch, cursor, resumeFrom } = meta;
      const mutations = await batchOf(tx, meta, limit, budget - (cursor ?? "").length);
      return { clientId, epoch, cursor, mutations, startsRound: !meta.inRound, resumeFrom };
    });
  }

  /** Store an answer: verdicts, page and cursor in one transaction. */
  async take(sent: Outgoing, answer: Answer, took: Took): Promise<Taken> {
    return this.told(await this.write((tx, meta) => takeAnswer(tx, meta, sent, answer, took, this.means)));
  }

  /** Store the verdicts so far and number what remains as the server wants it. */
  async takeNumbering(sent: Outgoing, error: NumberingError): Promise<Taken> {
    return this.told(await this.write((tx, meta) => takeNumbering(tx, meta, sent, error, this.means)));
  }

  private async read<R>(work: (tx: Tx, meta: Meta) => Promise<R>): Promise<R> {
    const found = await this.store.read(async (tx) => {
      const meta = await tx.client.get(1);
      return meta === undefined ? null : { result: await work(tx, meta) };
    });
    if (found !== null) return found.result;
    await this.write(async () => undefined); // a new database gets its client id on first use
    return this.read(work);
  }

  private write<R>(work: (tx: Tx, meta: Meta) => Promise<R>): Promise<R> {
    const clientId = uuid7(this.runtime);
    return this.store.write(async (tx) => {
      const meta = (await tx.client.get(1)) ?? newMeta(clientId);
      const result = await work(tx, meta);
      await tx.client.put([meta]);
      return result;
    });
  }

  /** Make a mutation of a draft; the caller writes the rows. */
  private async queue(tx: Tx, meta: Meta, draft: AnyDraft, rows: MutationRow[]): Promise<Made> {
    if (draft.op !== "create" && draft.recordId === undefined) {
      throw new InvalidMutationError(`which record? ${draft.op} needs a recordId`);
    }
    const recordId = draft.recordId ?? uuid7(this.runtime);
    const uid = uuid7(this.runtime);
    const content = contentOf(draft);
    const number = await numbered(tx, draft);
    const timestamp = nextStamp(meta, this.runtime.clockMs());
    const body: Content = {
      uid,
      record_id: recordId,
      timestamp,
      base_version: await seenVersion(tx, meta, draft.collection, recordId),
      epoch: meta.epoch,
      ...(this.schema === null ? {} : { schema: this.schema }),
      ...content,
      ...(number === null ? {} : { fields: withNumber(content.fields, draft, number) }),
    };
    checkSize(body);
    meta.lastIssued += 1;
    meta.lastPlace += 1;
    rows.push(rowOf(meta, uid, draft.collection, recordId, body, timestamp));
    return { uid, mutationId: meta.lastIssued, recordId, number, timestamp };
  }

  private told({ taken, hits, verdicts }: Brought): Taken {
    if (hits === "all") this.changed("all");
    else this.tell(hits, taken.verdicts > 0);
    if (verdicts.length > 0) this.judged(verdicts);
    return taken;
  }

  private tell(hits: readonly Hit[], always = false): void {
    const touched = new Map<string, Set<string>>();
    for (const { collection, recordId } of hits) {
      const ids = touched.get(collection) ?? new Set();
      touched.set(collection, ids.add(recordId));
    }
    if (touched.size > 0 || always) this.changed(touched);
  }
}

async function numbered(tx: Tx, draft: AnyDraft): Promise<number | null> {
  if (draft.number === undefined) return null;
  if (Reflect.get(draft.fields ?? {}, draft.number.field) !== undefined) {
    throw new InvalidMutationError(`fields.${draft.number.field}: the series gives it`);
  }
  return nextNumber(tx, draft.number.series);
}

function withNumber(fields: Fields | undefined, draft: AnyDraft, number: number): Fields {
  return draft.number === undefined ? { ...fields } : { ...fields, [draft.number.field]: number };
}

function rowOf(
  meta: Meta,
  uid: string,
  collection: string,
  recordId: string,
  body: Content,
  madeAt: string,
): MutationRow {
  return {
    place: meta.lastPlace,
    uid,
    clientId: meta.clientId,
    mutationId: meta.lastIssued,
    collection,
    recordId,
    body,
    madeAt,
    state: "pending",
    shown: "unsent",
    version: null,
    verdict: null,
    settledAt: null,
  };
}
