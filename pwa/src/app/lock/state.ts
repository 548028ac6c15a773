/** Whether the screen is locked: at the start, when asked for, and when nobody touched it for a while. */
import { computed, effect, signal } from "@preact/signals";
import { choosePin, readPin, tryPin, type KeptPin } from "../pin";
import { readSetting, removeSetting, writeSetting } from "../settings";
import { shop } from "../state/shop";

const IDLE_MS = 5 * 60_000;

/** Whose PIN was entered since the start; another person's session is locked by their own. */
const unlockedFor = signal<string | null>(null);
/** The PIN that is kept for who is signed in. */
export const kept = signal<KeptPin | null>(null);
export const isLocked = computed(
  () => kept.value !== null && shop.value !== null && unlockedFor.value !== shop.value.owner,
);

let idle: ReturnType<typeof setTimeout> | undefined;

/** Follow who is signed in, and lock after a while without a touch. */
export function lockAsBefore(): void {
  effect(() => {
    const owner = shop.value?.owner;
    kept.value = owner === undefined ? null : readPin(readSetting(`pin/${owner}`));
  });
  for (const kind of ["pointerdown", "keydown"] as const) addEventListener(kind, wait, { passive: true });
  wait();
}

export function lock(): void {
  unlockedFor.value = null;
}

/** Whether it opened. */
export async function enterPin(pin: string): Promise<boolean> {
  if (kept.value === null) return true;
  const tried = await tryPin(kept.value, pin, Date.now());
  keep(tried.kept);
  if (tried.opens) unlockedFor.value = shop.value?.owner ?? null;
  return tried.opens;
}

export async function setPin(pin: string): Promise<void> {
  keep(await choosePin(pin));
  unlockedFor.value = shop.value?.owner ?? null;
}

export function removePin(): void {
  if (shop.value !== null) removeSetting(`pin/${shop.value.owner}`);
  kept.value = null;
}

function keep(pin: KeptPin): void {
  const owner = shop.value?.owner;
  if (owner !== undefined) writeSetting(`pin/${owner}`, JSON.stringify(pin));
  kept.value = pin;
}

function wait(): void {
  clearTimeout(idle);
  idle = setTimeout(lock, IDLE_MS);
}
