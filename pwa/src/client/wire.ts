/**
 * What a server may answer, checked before anything of it is stored, and the one place where the wire's snake_case
 * becomes TypeScript's names and back. An answer is taken whole or not at all; members this client does not know are
 * ignored. The names of a record's own fields stay as they are.
 */
import { decodeInstant } from "./clock";
import { UnexpectedAnswerError } from "./errors";
import { PROTOCOL } from "./generated/collections";
import { Reader, ShapeError, textItem } from "./json";
import type { Fields, Verdict, VerdictStatus } from "./types";

const STATUSES: ReadonlySet<string> = new Set(["applied", "merged", "conflict", "rejected", "waiting"]);

/** The records of a collection that one circle of people may see. */
export interface Bucket {
  readonly collection: string;
  readonly audience: string;
}

export interface BucketDigest extends Bucket {
  readonly sum: number;
}

/**
 * A record's new state, or its tombstone, which it leaves behind too in a bucket it moved out of. `erased`: nothing of
 * it may stay here, not even what this device itself had said.
 */
export interface Change extends Bucket {
  readonly recordId: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly fields: Fields;
  readonly erased: boolean;
}

/** A page and verdicts. `dropped` names buckets that are out of reach; only who pulls nothing has no cursor. */
export interface Answer {
  readonly serverTime: string;
  readonly epoch: string;
  readonly head: string;
  readonly lastMutationId: number;
  readonly safeMutationId: number | null;
  readonly verdicts: readonly Verdict[];
  readonly changes: readonly Change[];
  readonly dropped: readonly Bucket[];
  readonly cursor: string | null;
  readonly more: boolean;
  readonly reset: boolean;
  readonly digest: readonly BucketDigest[] | null;
  readonly tooOld: boolean;
}

/** A problem document's members that matter here; the last two come with trouble about numbering. */
export interface Problem {
  readonly code: string | null;
  readonly detail: string | null;
  readonly verdicts: readonly Verdict[];
  readonly lastMutationId: number | null;
}

/** What goes into a request. `mutations` are JSON texts; `resumeFrom`: the journal lacks what comes before it. */
export interface Outgoing {
  readonly clientId: string;
  readonly epoch: string | null;
  readonly cursor: string | null;
  readonly mutations: readonly string[];
  readonly startsRound: boolean;
  readonly resumeFrom: number | null;
}

export interface Asking {
  readonly collections: readonly string[];
  readonly page: number;
  readonly schema: number | null;
}

/** The request's JSON; mutations are JSON already and are not read again. */
export function encodeRequest(outgoing: Outgoing, asking: Asking): string {
  const envelope = {
    protocol: PROTOCOL,
    client_id: outgoing.clientId,
    epoch: outgoing.epoch,
    cursor: outgoing.cursor,
    collections: asking.collections,
    limit: asking.page,
    ...(asking.schema === null ? {} : { schema: asking.schema }),
    ...(outgoing.resumeFrom === null ? {} : { resume_from: outgoing.resumeFrom }),
  };
  return `${JSON.stringify(envelope).slice(0, -1)},"mutations":[${outgoing.mutations.join(",")}]}`;
}

/** The answer to a sync request. Throws UnexpectedAnswerError. */
export function parseAnswer(body: string): Answer {
  try {
    return answerOf(Reader.of(JSON.parse(body), "answer"));
  } catch (error) {
    if (!(error instanceof ShapeError || error instanceof SyntaxError || error instanceof RangeError)) throw error;
    const place = error instanceof ShapeError ? `its ${error.message} is not` : "it is not";
    throw new UnexpectedAnswerError(`this answer is not the protocol's: ${place}`);
  }
}

/** A problem document; empty where the body is none, as when something before the server answered. */
export function parseProblem(body: string): Problem {
  try {
    const reader = Reader.of(JSON.parse(body), "problem");
    return {
      code: reader.maybe("code", reader.text),
      detail: reader.maybe("detail", reader.text),
      verdicts: reader.maybe("verdicts", (name) => reader.list(name, verdictOf)) ?? [],
      lastMutationId: reader.maybe("last_mutation_id", reader.whole),
    };
  } catch {
    return { code: null, detail: null, verdicts: [], lastMutationId: null };
  }
}

function answerOf(reader: Reader): Answer {
  decodeInstant(reader.text("server_time"));
  return {
    serverTime: reader.text("server_time"),
    epoch: reader.text("epoch"),
    head: reader.text("head"),
    lastMutationId: reader.whole("last_mutation_id"),
    safeMutationId: reader.maybe("safe_mutation_id", reader.whole),
    verdicts: reader.list("verdicts", verdictOf),
    changes: reader.list("changes", changeOf),
    dropped: reader.list("dropped", bucketOf),
    cursor: reader.maybe("cursor", reader.text),
    more: reader.flag("more"),
    reset: reader.flag("reset"),
    digest: reader.maybe("digest", (name) => reader.list(name, digestOf)),
    tooOld: reader.maybe("too_old", reader.flag) ?? false,
  };
}

function verdictOf(value: unknown): Verdict {
  const reader = Reader.of(value, "verdict");
  const status = reader.text("status");
  if (!STATUSES.has(status)) throw new ShapeError("status");
  return {
    mutationId: reader.whole("mutation_id"),
    uid: reader.text("uid"),
    status: status as VerdictStatus,
    duplicate: reader.flag("duplicate"),
    version: reader.maybe("version", reader.whole),
    code: reader.maybe("code", reader.text),
    message: reader.maybe("message", reader.text),
    conflictId: reader.maybe("conflict_id", reader.text),
    superseded: reader.list("superseded", textItem),
    clamped: reader.flag("clamped"),
  };
}

function changeOf(value: unknown): Change {
  const reader = Reader.of(value, "change");
  return {
    ...bucketOf(value),
    recordId: reader.text("record_id"),
    version: reader.whole("version"),
    deleted: reader.flag("deleted"),
    fields: reader.fields("fields"),
    erased: reader.maybe("erased", reader.flag) ?? false,
  };
}

function bucketOf(value: unknown): Bucket {
  const reader = Reader.of(value, "bucket");
  return { collection: reader.text("collection"), audience: reader.text("audience") };
}

function digestOf(value: unknown): BucketDigest {
  return { ...bucketOf(value), sum: Reader.of(value, "digest").whole("sum") };
}
