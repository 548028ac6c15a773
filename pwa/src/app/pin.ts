/**
 * The screen's PIN. It opens the screen and nothing else: what the server lets in is the session's affair.
 *
 * 1. Kept is a salted PBKDF2 of it, never the PIN. Four digits are soon tried by who has the disk; it is against who has
 *    the screen.
 * 2. After `FREE` wrong ones each further one costs more waiting, up to a quarter of an hour; waiting survives a restart.
 *    A clock that is set back makes nobody wait longer than that.
 */

export const FREE = 4;
export const FIRST_WAIT_MS = 5_000;
export const LONGEST_WAIT_MS = 15 * 60_000;
const ITERATIONS = 310_000;
const SHORTEST = 4;
const LONGEST = 8;

/** What is kept of a PIN; `until` is in milliseconds since 1970, bytes are hexadecimal. */
export interface KeptPin {
  readonly salt: string;
  readonly hash: string;
  readonly iterations: number;
  readonly failures: number;
  readonly until: number;
}

export type PinFault = "short" | "easy";

/** Why this is no PIN to choose; null where it is one. */
export function faultOf(pin: string): PinFault | null {
  if (!new RegExp(`^\\d{${SHORTEST},${LONGEST}}$`).test(pin)) return "short";
  const steps = new Set([...pin].slice(1).map((digit, at) => Number(digit) - Number(pin[at])));
  return steps.size === 1 && Math.abs([...steps][0]!) <= 1 ? "easy" : null; // 1111, 1234, 4321
}

export async function choosePin(pin: string, iterations = ITERATIONS): Promise<KeptPin> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return { salt: hex(salt), hash: await derive(pin, salt, iterations), iterations, failures: 0, until: 0 };
}

/** For how many milliseconds no further try counts. */
export function waitMs(kept: KeptPin, nowMs: number): number {
  return Math.min(Math.max(0, kept.until - nowMs), LONGEST_WAIT_MS);
}

/** Try a PIN: whether it opens, and what is to be kept from now on. Nothing is tried while one has to wait. */
export async function tryPin(
  kept: KeptPin,
  pin: string,
  nowMs: number,
): Promise<{ readonly opens: boolean; readonly kept: KeptPin }> {
  if (waitMs(kept, nowMs) > 0) return { opens: false, kept };
  const hash = await derive(pin, bytesOf(kept.salt), kept.iterations);
  if (same(hash, kept.hash)) return { opens: true, kept: { ...kept, failures: 0, until: 0 } };
  const failures = kept.failures + 1;
  const wait = failures < FREE ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (failures - FREE), LONGEST_WAIT_MS);
  return { opens: false, kept: { ...kept, failures, until: nowMs + wait } };
}

/** What was kept, read; null for what is none. */
export function readPin(text: string | null): KeptPin | null {
  try {
    const value = JSON.parse(text ?? "null") as KeptPin | null;
    return value !== null && typeof value.hash === "string" && typeof value.salt === "string" ? value : null;
  } catch {
    return null;
  }
}

async function derive(pin: string, salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<string> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(pin), "PBKDF2", false, ["deriveBits"]);
  return hex(
    new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256)),
  );
}

function same(one: string, other: string): boolean {
  let differs = one.length ^ other.length;
  for (let at = 0; at < one.length; at += 1) differs |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return differs === 0;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array((text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));
}
