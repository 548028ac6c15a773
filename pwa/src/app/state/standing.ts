/** How things stand, in a word: what the pill says and in which colour, made of the client's status. Pure. */
import type { Status } from "../../client";
import { time } from "../format";
import type { Words } from "../words";

/** sent: all of it · unsent: saved here · offline: the server does not answer · person: somebody has to do something. */
export type Tone = "sent" | "unsent" | "offline" | "person";

export interface Standing {
  readonly tone: Tone;
  readonly text: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export function standingOf(status: Status, conflicts: number, t: Words): Standing {
  const toReview = status.rejected + conflicts;
  if (status.state === "held_signed_out") {
    const ends = status.code === "signed_out" || status.code === null;
    return { tone: "person", text: ends ? t.pill.signIn : t.pill.blocked };
  }
  if (status.state === "held_update_needed" || status.updateNeeded) return { tone: "person", text: t.pill.update };
  if (toReview > 0) return { tone: "person", text: t.pill.review(toReview) };
  if (status.state === "backing_off") {
    return { tone: "offline", text: status.pending === 0 ? t.pill.offline : t.pill.offlineCount(status.pending) };
  }
  if (!status.complete) return { tone: "unsent", text: t.pill.first };
  if (status.pending > 0) return { tone: "unsent", text: t.pill.toSend(status.pending) };
  const at = status.lastExchangeAt;
  return { tone: "sent", text: at === null ? t.pill.allSentNever : t.pill.allSent(time(at, t.locale)) };
}

/** Whether the oldest pending mutation waits for more than a day. */
export function waitsTooLong(status: Status, nowMs: number): boolean {
  return status.oldestPendingAt !== null && nowMs - Date.parse(status.oldestPendingAt) > DAY_MS;
}
