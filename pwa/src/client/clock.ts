/**
 * Timestamps: the wire's text form, always 24 characters in UTC, so that text order is time order; and the two rules
 * that keep a stranger's clock from doing harm, as `sync/clock.py` has them.
 */
import type { Instant } from "./shape";

export const MAX_AHEAD_MS = 5 * 60 * 1000;
const FORM = /^(?:19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Milliseconds since 1970 as wire text: `2026-11-23T09:14:58.201Z`. */
export function encodeInstant(ms: number): Instant {
  return new Date(Math.floor(ms)).toISOString();
}

/** Wire text as milliseconds since 1970. Throws RangeError for anything that is no instant. */
export function decodeInstant(text: Instant): number {
  const ms = FORM.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms) || encodeInstant(ms) !== text) throw new RangeError("not an instant of the wire's form");
  return ms;
}

/** The timestamp to use, and whether it was too far ahead of the server's `now`. */
export function clamp(timestamp: Instant, now: Instant): { readonly timestamp: Instant; readonly clamped: boolean } {
  const limit = encodeInstant(decodeInstant(now) + MAX_AHEAD_MS);
  return timestamp > limit ? { timestamp: limit, clamped: true } : { timestamp, clamped: false };
}

/** What is stored for a write that wins: never at or before the write it follows. */
export function later(own: Instant, previous: Instant): Instant {
  return own > previous ? own : encodeInstant(decodeInstant(previous) + 1);
}
