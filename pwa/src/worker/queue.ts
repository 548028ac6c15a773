/**
 * The queue, sent by the worker when the browser says that there is a network again and no tab is open to do it.
 *
 * 1. It only pushes: a verdict settles its mutation, the pull and whatever is out of the ordinary (a new epoch, numbers
 *    that do not fit, an older format) wait for a page.
 * 2. It works under the tabs' lead, so it and a tab never send the same; where a tab leads, that tab is told to hurry.
 * 3. Trouble rejects, and the browser tries again later; what a person has to do is left to them.
 */
import { HeldError, NumberingError } from "../client/errors";
import { databaseKeep } from "../client/keep";
import { MAX_BODY_BYTES, optionsOf } from "../client/options";
import { batchOf, settle } from "../client/queue";
import { REAL } from "../client/runtime";
import { openSession } from "../client/session";
import type { Session } from "../client/door";
import type { Store } from "../client/store";
import { browserTabs } from "../client/tabs";
import { Transport } from "../client/transport";
import type { Answer, Outgoing } from "../client/wire";
import { existingStore } from "./rows";
import { toldByPage, type Whose } from "./told";

const HALF = MAX_BODY_BYTES / 2;

/** Send what is queued. Rejects where it should be tried again. */
export async function sendQueue(): Promise<void> {
  const whose = await toldByPage();
  if (whose === null) return;
  const tabs = browserTabs(whose.tabs);
  try {
    const ran = await navigator.locks.request(`${whose.tabs}:lead`, { ifAvailable: true }, async (lock) => {
      if (lock === null) return false;
      await sendAlone(whose);
      return true;
    });
    tabs.tell(ran ? { kind: "changed", touched: "all" } : { kind: "now" });
  } finally {
    tabs.close();
  }
}

/** The session of this origin, as its pages know it. */
export function sessionOf(whose: Whose): Promise<Session> {
  return openSession({ url: "", keep: databaseKeep("rientro-session"), tabs: browserTabs(whose.sessionTabs) });
}

async function sendAlone(whose: Whose): Promise<void> {
  const store = await existingStore(whose.database);
  if (store === null) return;
  try {
    const session = await sessionOf(whose);
    const transport = new Transport("", session, optionsOf({ collections: [] }), REAL);
    for (let outgoing = await next(store, session); outgoing !== null; outgoing = await next(store, session)) {
      if (!(await taken(store, outgoing, await transport.sync(outgoing)))) return;
    }
  } catch (error) {
    if (!(error instanceof HeldError || error instanceof NumberingError)) throw error;
  } finally {
    await store.close();
  }
}

/** The next request; null where there is none to make, or a page should make it. */
function next(store: Store, session: Session): Promise<Outgoing | null> {
  return store.read(async (tx) => {
    const meta = await tx.client.get(1);
    if (meta === undefined || meta.owner !== session.owner || meta.epoch === null || meta.resumeFrom !== null) return null;
    const mutations = await batchOf(tx, meta, 200, HALF);
    if (mutations.length === 0) return null;
    const { clientId, epoch } = meta;
    return { clientId, epoch, cursor: null, mutations, startsRound: true, resumeFrom: null };
  });
}

/** Settle what got its verdict; false where the answer is not about this queue as it is now. */
function taken(store: Store, sent: Outgoing, answer: Answer): Promise<boolean> {
  return store.write(async (tx) => {
    const meta = await tx.client.get(1);
    if (meta?.clientId !== sent.clientId || meta.epoch !== answer.epoch || answer.lastMutationId > meta.lastIssued) return false;
    const { news } = await settle(tx, answer.verdicts, answer.serverTime);
    await tx.client.put([{ ...meta, lastExchangeAt: answer.serverTime }]);
    return news.length > 0;
  });
}
