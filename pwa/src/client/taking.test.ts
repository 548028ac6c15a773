/** Taking answers in: pages, buckets, resets, digests, journals. The server's words are written out by hand here. */
import { expect, test } from "vitest";
import { GapError } from "./errors";
import { recordHash } from "./digest";
import { Local } from "./local";
import { memoryStore, type MemoryStore } from "./memory";
import { JOURNAL_MS } from "./taking";
import { START_MS, seededRuntime } from "./testing";
import type { Verdict } from "./types";
import type { Answer, Change } from "./wire";

const TOOK = { sentMs: START_MS, receivedMs: START_MS };
const SERVER_TIME = "2026-11-23T09:00:00.000Z";

class Bench {
  readonly store: MemoryStore = memoryStore();
  readonly local = new Local(this.store, seededRuntime("taking"), null);
  private cursors = 0;

  /** Take an answer to what would be sent now. */
  async take(more: Partial<Answer> = {}) {
    const outgoing = await this.local.outgoing(100, 1e6);
    const { lastIssued } = await this.local.meta();
    const answer: Answer = {
      serverTime: SERVER_TIME,
      epoch: "e1",
      head: "h",
      lastMutationId: lastIssued,
      safeMutationId: null,
      verdicts: [],
      changes: [],
      dropped: [],
      cursor: `c${(this.cursors += 1)}`,
      more: false,
      reset: false,
      digest: null,
      tooOld: false,
      ...more,
    };
    return this.local.take(outgoing, answer, TOOK);
  }

  async create(name: string) {
    const [made] = await this.local.add([{ collection: "notes", op: "create", fields: { name } }]);
    return made!;
  }

  async names(): Promise<unknown[]> {
    return [...(await this.local.records("notes")).values()].map((one) => one.fields["name"]).sort();
  }
}

function change(recordId: string, version: number, more: Partial<Change> = {}): Change {
  const audience = "tenant";
  return {
    collection: "notes",
    recordId,
    version,
    audience,
    deleted: false,
    fields: { name: recordId },
    erased: false,
    ...more,
  };
}

function verdict(uid: string, more: Partial<Verdict> = {}): Verdict {
  const none = { code: null, message: null, conflictId: null, superseded: [], clamped: false, duplicate: false };
  return { mutationId: 1, uid, status: "applied", version: 1, ...none, ...more };
}

test("what was taken stays in the view until its record comes back, and no longer", async () => {
  const bench = new Bench();
  const made = await bench.create("mine");
  await bench.take({ verdicts: [verdict(made.uid)] });
  expect(await bench.local.record("notes", made.recordId)).toMatchObject({ version: 0, unsent: 0 });
  await bench.take({ changes: [change(made.recordId, 1, { fields: { name: "theirs" } })] });
  expect(await bench.local.record("notes", made.recordId)).toMatchObject({ version: 1, fields: { name: "theirs" } });
});

test("a mutation that waits for its record is shown, counted, and settled by a later answer", async () => {
  const bench = new Bench();
  const made = await bench.create("mine");
  await bench.take({ verdicts: [verdict(made.uid, { status: "waiting", version: null })] });
  expect(await bench.local.counts()).toMatchObject({ pending: 0, waiting: 1 });
  expect(await bench.names()).toEqual(["mine"]);
  await bench.take({ verdicts: [verdict(made.uid, { status: "rejected", version: null, code: "unknown_record" })] });
  expect(await bench.local.counts()).toMatchObject({ waiting: 0, rejected: 1 });
  expect(await bench.names()).toEqual([]);
});

test("a verdict told twice changes nothing, and a stranger's neither", async () => {
  const bench = new Bench();
  const made = await bench.create("mine");
  expect((await bench.take({ verdicts: [verdict(made.uid), verdict("stranger")] })).verdicts).toBe(1);
  const again = verdict(made.uid, { status: "rejected", code: "invalid" });
  expect((await bench.take({ verdicts: [again] })).verdicts).toBe(0);
  expect((await bench.local.entries(["settled"])).length).toBe(1);
});

test("a record that moved to another bucket is kept, whichever half of the move comes first", async () => {
  const bench = new Bench();
  await bench.take({ changes: [change("a", 1), change("b", 1)] });
  const left = { deleted: true, fields: {} };
  await bench.take({
    changes: [
      change("a", 2, left),
      change("a", 2, { audience: "shop:x" }),
      change("b", 2, { audience: "shop:x" }),
      change("b", 2, left),
    ],
  });
  expect(await bench.names()).toEqual(["a", "b"]);
  await bench.take({ dropped: [{ collection: "notes", audience: "shop:x" }] });
  expect(await bench.names()).toEqual([]);
});

test("a page that does not go on from where we stand is not written", async () => {
  const bench = new Bench();
  await bench.take();
  const outgoing = await bench.local.outgoing(100, 1e6);
  await bench.take({ changes: [change("a", 1)] });
  const late: Answer = {
    ...{ serverTime: SERVER_TIME, epoch: "e1", head: "h", lastMutationId: 0, safeMutationId: null, verdicts: [] },
    ...{
      changes: [change("b", 1)],
      dropped: [],
      cursor: "late",
      more: false,
      reset: false,
      digest: null,
      tooOld: false,
    },
  };
  await bench.local.take(outgoing, late, TOOK);
  expect(await bench.names()).toEqual(["a"]);
  expect((await bench.local.meta()).cursor).not.toBe("late");
});

test("after a reset the old copy is shown until the new one is whole, with what is queued on top", async () => {
  const bench = new Bench();
  await bench.take({ changes: [change("a", 1), change("b", 1)] });
  await bench.create("mine");
  await bench.take({ reset: true, changes: [change("b", 5)], more: true, lastMutationId: 0 });
  expect(await bench.names()).toEqual(["a", "b", "mine"]);
  await bench.take({ changes: [change("c", 6)], lastMutationId: 0 });
  expect(await bench.names()).toEqual(["b", "c", "mine"]);
});

test("a copy that is not the server's is noticed, counted once, and made anew", async () => {
  const bench = new Bench();
  const digest = [{ collection: "notes", audience: "tenant", sum: recordHash("notes", "a", 1) }];
  await bench.take({ changes: [change("a", 1)], digest });
  expect((await bench.local.meta()).differences).toBe(0);
  const wrong = [{ collection: "notes", audience: "tenant", sum: 42 }];
  await bench.take({ digest: wrong });
  await bench.take({ changes: [change("a", 1)], digest: wrong });
  await bench.take({ digest: wrong });
  expect(await bench.local.meta()).toMatchObject({ differences: 1, buildingSide: null });
  await bench.take({ digest });
  expect((await bench.local.meta()).disputed).toBeNull();
  await bench.store.write((tx) => tx.base.put([{ ...rowOfA, version: 2 }])); // the disk
  const old = new Local(bench.store, seededRuntime("again"), null); // recounts when it was opened
  const outgoing = await old.outgoing(1, 1e6);
  const plain = {
    serverTime: SERVER_TIME,
    epoch: "e1",
    head: "h",
    lastMutationId: 0,
    safeMutationId: null,
    verdicts: [],
  };
  const empty = { changes: [], dropped: [], more: false, reset: false, tooOld: false };
  await old.take(outgoing, { ...plain, ...empty, cursor: "x", digest }, TOOK);
  expect((await old.meta()).differences).toBe(2);
});

const rowOfA = {
  side: 1,
  collection: "notes",
  recordId: "a",
  version: 1,
  audience: "tenant",
  deleted: 0,
  fields: {},
} as const;

test("of a record that was erased for good nothing stays, not even what was said of it here", async () => {
  const bench = new Bench();
  const made = await bench.create("Rossi");
  await bench.take({ verdicts: [verdict(made.uid)], changes: [change(made.recordId, 1)] });
  const [edit] = await bench.local.add([
    { collection: "notes", op: "update", recordId: made.recordId, fields: { name: "Rossi" } },
  ]);
  await bench.take({
    changes: [change(made.recordId, 2, { deleted: true, erased: true, fields: {} })],
    lastMutationId: 1,
  });
  expect(await bench.names()).toEqual([]);
  expect(JSON.stringify(await bench.local.entries([]))).not.toContain("Rossi");
  expect((await bench.local.entries(["pending"])).map((one) => [one.uid, one.content.op])).toEqual([
    [edit!.uid, "noop"],
  ]);
});

test("a new epoch asks for all that was ever taken, then for what is pending", async () => {
  const bench = new Bench();
  const [first, second] = [await bench.create("one"), await bench.create("two")];
  await bench.take({
    verdicts: [verdict(first.uid), verdict(second.uid)],
    changes: [change(first.recordId, 1), change(second.recordId, 1)],
  });
  const third = await bench.create("three");
  await bench.take({ epoch: "e2", lastMutationId: 1, reset: true, changes: [change(first.recordId, 1)] });
  const sent = (await bench.local.outgoing(100, 1e6)).mutations.map(
    (text) => JSON.parse(text) as { [name: string]: unknown },
  );
  expect(sent.map((one) => [one["uid"], one["base_version"], one["epoch"]])).toEqual([
    [first.uid, 0, "e2"],
    [second.uid, 0, "e2"],
    [third.uid, 0, "e2"],
  ]);
  expect(await bench.names()).toEqual([first.recordId, "three", "two"].sort());
});

test("a journal is forgotten where a backup covers it and it is old, and the hole is said", async () => {
  const bench = new Bench();
  const made = [await bench.create("one"), await bench.create("two"), await bench.create("three")];
  await bench.take({ verdicts: made.map((one, at) => verdict(one.uid, { mutationId: at + 1 })) });
  await bench.take({ safeMutationId: 2 });
  expect((await bench.local.entries(["settled"])).length).toBe(3);
  const later = new Date(START_MS + JOURNAL_MS + 1).toISOString();
  await bench.take({ safeMutationId: 3, serverTime: later });
  expect(await bench.local.entries(["settled"])).toEqual([]);
  const fourth = await bench.create("four");
  const outgoing = await bench.local.outgoing(100, 1e6);
  await bench.local.takeNumbering(outgoing, new GapError("gap", { reason: "mutation_gap" }, [], 1));
  const again = await bench.local.outgoing(100, 1e6);
  expect([again.resumeFrom, again.mutations.length]).toEqual([4, 1]);
  expect(again.mutations[0]).toContain(fourth.uid);
});

test("a transaction that fails keeps nothing: no number, no place, no mutation", async () => {
  const bench = new Bench();
  await bench.create("one");
  const draft = {
    collection: "sales",
    op: "create",
    fields: {},
    number: { field: "receipt_no", series: "till" },
  } as const;
  await expect(bench.local.add([draft, { collection: "notes", op: "update", fields: {} }])).rejects.toThrow(
    "which record",
  );
  await expect(bench.local.add([{ ...draft, fields: { total: 12.5 } }])).rejects.toThrow("fields.total");
  await expect(bench.local.add([{ ...draft, fields: { note: "x".repeat(300_000) } }])).rejects.toThrow("262144");
  const [sold] = await bench.local.add([draft]);
  expect([sold!.number, sold!.mutationId]).toEqual([1, 2]);
  await bench.local.continueSeries("till", 7);
  await bench.local.continueSeries("till", 3);
  expect((await bench.local.add([draft]))[0]!.number).toBe(8);
});
