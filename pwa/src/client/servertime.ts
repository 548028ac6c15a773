/**
 * The server's time as far as this device knows it: its own clock plus the offset seen at the last answer.
 *
 * Timestamps grow with every mutation, so that two edits within a millisecond, or a small step back of the clock, keep
 * their order. A leap back of minutes is a clock put right, and followed: else all that comes would be dated ahead.
 */
import { MAX_AHEAD_MS, decodeInstant, encodeInstant } from "./clock";
import type { Meta } from "./tables";

const VAGUE_MS = 10_000; // an exchange that took longer says too little about the time

/** When a request was sent and its answer received, by this device's clock. */
export interface Took {
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** Note how far this device's clock is off; the answer was written somewhere between sending and receiving. */
export function learnTime(meta: Meta, serverTime: string, took: Took): void {
  const lasted = took.receivedMs - took.sentMs;
  if (0 <= lasted && lasted <= VAGUE_MS) {
    meta.offsetMs = decodeInstant(serverTime) - Math.floor((took.sentMs + took.receivedMs) / 2);
  }
}

/** The server's time now. */
export function nowText(meta: Meta, clockMs: number): string {
  return encodeInstant(clockMs + meta.offsetMs);
}

/** The timestamp of one more mutation. */
export function nextStamp(meta: Meta, clockMs: number): string {
  let now = Math.floor(clockMs + meta.offsetMs);
  const ahead = meta.lastStampMs - now;
  if (0 <= ahead && ahead < MAX_AHEAD_MS) now = meta.lastStampMs + 1;
  meta.lastStampMs = now;
  return encodeInstant(now);
}
