/**
 * Taking an answer in: verdicts, page, cursor and identity change together, in one transaction, or not at all.
 *
 * 1. An answer to a request made under another client id or epoch is void: its verdicts are of a history that is not
 *    ours.
 * 2. Verdicts first, then who we are (epoch, client id), then the page.
 * 3. A page is written only where it goes on from the stored cursor; it never touches the queue.
 * 4. A reset and a new epoch fill a second copy, shown when its round has ended. A lost bucket's records go at once.
 * 5. A digest is looked at (`check`) where it can agree: not while mutations are under way, for there is more to come.
 */
import { dropBuckets, startRebuild, swapSides, writePage } from "./base";
import type { Check } from "./check";
import { decodeInstant, encodeInstant } from "./clock";
import { ForkedError, type NumberingError } from "./errors";
import { forget, joinView, lastTaken, leaveLost, leaveView, prune, settle, type Hit } from "./queue";
import { beginEpoch, resume, takeNewClient } from "./recovery";
import { learnTime, nowText, type Took } from "./servertime";
import type { Tx } from "./store";
import type { Meta } from "./tables";
import type { Taken, Verdict } from "./types";
import type { Answer, Outgoing } from "./wire";

export const JOURNAL_MS = 30 * 24 * 60 * 60 * 1000;

/** What an answer brought, and which records it touched; `"all"` where a copy or a bucket came or went. */
export interface Brought {
  readonly taken: Taken;
  readonly hits: readonly Hit[] | "all";
  readonly verdicts: readonly Verdict[];
}

const AGAIN: Taken = { verdicts: 0, changes: 0, more: true, renumbered: true, tooOld: false };
const VOID: Brought = { taken: AGAIN, hits: [], verdicts: [] };

/** What is fresh for every taking: where new client ids come from, and the check. */
export interface Means {
  readonly check: Check;
  readonly newId: () => string;
  readonly clockMs: () => number;
}

/** An answer to a request. */
export async function takeAnswer(
  tx: Tx,
  meta: Meta,
  sent: Outgoing,
  answer: Answer,
  took: Took,
  means: Means,
): Promise<Brought> {
  if (!sameClient(meta, sent)) return VOID;
  learnTime(meta, answer.serverTime, took);
  meta.lastExchangeAt = answer.serverTime;
  const settled = await settle(tx, answer.verdicts, answer.serverTime);
  const fits = fitsCursor(meta, sent, answer);
  const renumbered = await follow(tx, meta, answer, means.newId);
  const turns = fits && !answer.tooOld;
  const page: Page = turns ? await turnPage(tx, meta, answer) : { hits: [], whole: false };
  if (turns && sent.mutations.length === 0) await check(tx, meta, answer, renumbered, means.check);
  if (meta.resumeFrom !== null && answer.lastMutationId >= meta.resumeFrom) meta.resumeFrom = null;
  const left = await leaveView(tx, meta);
  if (!renumbered) await pruneJournal(tx, meta, answer); // what it says of a backup is about the numbers as they were
  const more = (meta.inRound || meta.buildingSide !== null) && !answer.tooOld;
  const changes = turns ? answer.changes.length : 0;
  return {
    taken: { verdicts: settled.news.length, changes, more, renumbered, tooOld: answer.tooOld },
    verdicts: settled.news,
    hits: page.whole || renumbered ? "all" : [...settled.hits, ...page.hits, ...left],
  };
}

/** Trouble about numbers: keep the verdicts so far, and number what remains as the server wants it. */
export async function takeNumbering(
  tx: Tx,
  meta: Meta,
  sent: Outgoing,
  error: NumberingError,
  means: Means,
): Promise<Brought> {
  if (!sameClient(meta, sent)) return VOID;
  const settled = await settle(tx, error.verdicts, nowText(meta, means.clockMs()));
  if (error instanceof ForkedError || error.lastMutationId > meta.lastIssued) {
    await takeNewClient(tx, meta, means.newId());
  } else {
    await resume(tx, meta, error.lastMutationId + 1);
  }
  await leaveView(tx, meta);
  return { taken: { ...AGAIN, verdicts: settled.news.length }, hits: "all", verdicts: settled.news };
}

/**
 * Follow the server into a new epoch, away from an id somebody else uses, or back to what it forgot.
 * Whether that renumbered the queue.
 */
async function follow(tx: Tx, meta: Meta, answer: Answer, newId: () => string): Promise<boolean> {
  const last = answer.lastMutationId;
  const rewound = meta.epoch !== null && answer.epoch !== meta.epoch;
  if (meta.epoch === null) meta.epoch = meta.baseEpoch = answer.epoch;
  const copied = last > meta.lastIssued;
  const forgotten = last < (await lastTaken(tx, meta));
  if (rewound) {
    await beginEpoch(tx, meta, answer.epoch, last);
    await startRebuild(tx, meta);
  }
  if (copied) await takeNewClient(tx, meta, newId());
  else if (forgotten && !rewound) await resume(tx, meta, last + 1); // a rewind that nobody noticed, or not yet
  return rewound || copied || forgotten;
}

/** What a page touched; `whole`: a copy or a bucket came or went with it. */
interface Page {
  readonly hits: readonly Hit[];
  readonly whole: boolean;
}

async function turnPage(tx: Tx, meta: Meta, answer: Answer): Promise<Page> {
  if (answer.reset) await startRebuild(tx, meta);
  if (answer.dropped.length > 0) await dropBuckets(tx, answer.dropped);
  await writePage(tx, meta, answer.changes);
  for (const change of answer.changes) if (change.erased) await forget(tx, change);
  await leaveLost(
    tx,
    meta,
    answer.dropped.map((bucket) => bucket.collection),
  );
  if (!meta.inRound) meta.roundHead = answer.head;
  meta.cursor = answer.cursor;
  meta.inRound = answer.more;
  if (!answer.more) meta.head = meta.roundHead;
  const swaps = !answer.more && meta.buildingSide !== null;
  if (swaps) {
    await swapSides(tx, meta);
    await joinView(tx);
  }
  const builds = meta.buildingSide !== null;
  return { hits: builds ? [] : answer.changes, whole: swaps || answer.dropped.length > 0 };
}

async function check(tx: Tx, meta: Meta, answer: Answer, renumbered: boolean, by: Check): Promise<void> {
  await by.compare(tx, meta, answer.digest);
  if (answer.digest === null || meta.buildingSide !== null || renumbered) return;
  // This is all there is: what was taken and did not come back was deleted so long ago that none tells.
  await leaveLost(
    tx,
    meta,
    answer.digest.map((bucket) => bucket.collection),
  );
}

async function pruneJournal(tx: Tx, meta: Meta, answer: Answer): Promise<void> {
  const safe = answer.safeMutationId ?? 0;
  if (safe <= meta.safeMutationId) return;
  meta.safeMutationId = safe;
  await prune(tx, meta, encodeInstant(decodeInstant(answer.serverTime) - JOURNAL_MS));
}

function sameClient(meta: Meta, sent: Outgoing): boolean {
  return meta.clientId === sent.clientId && meta.epoch === sent.epoch;
}

/** Whether the page goes on from where this client stands: another tab may have turned it already. */
function fitsCursor(meta: Meta, sent: Outgoing, answer: Answer): boolean {
  if (meta.cursor !== sent.cursor) return false;
  return answer.reset || sent.cursor === null || answer.epoch === meta.epoch;
}
