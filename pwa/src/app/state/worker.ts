/**
 * The service worker, as the app uses it: asked for once the first screen is drawn, told whose queue it may send, and
 * replaced by a newer build only when a person says so and nothing is begun.
 */
import { effect, signal } from "@preact/signals";
import { databaseName } from "../../client";
import {
  checkPush,
  pushState,
  registerWorker,
  showBadge,
  subscribePush,
  unsubscribePush,
  type AppWorker,
  type PushState,
} from "../../worker/page";
import { basket } from "./till";
import { hrefOfPath } from "./route";
import { shop, theSession } from "./shop";
import { updateWaits } from "./update";

export const push = signal<PushState>("unsupported");

let worker: AppWorker | null = null;

/** Nothing would be lost by a reload: an empty slip, no dialog, nothing typed into a form. */
export function isClean(): boolean {
  const typed = [...document.querySelectorAll<HTMLInputElement>("form input")].some(
    (one) => one.value !== one.defaultValue && one === document.activeElement,
  );
  return basket.value.lines.length === 0 && document.querySelector("dialog[open]") === null && !typed;
}

/** Register, and follow who is signed in. */
export async function startWorker(): Promise<void> {
  worker = await registerWorker(isClean);
  if (worker === null) return;
  const known = worker;
  known.updates.subscribe((state) => (updateWaits.value = state === "waiting" || state === "stale"));
  known.onOpen((path) => {
    location.hash = hrefOfPath(path);
  });
  effect(() => {
    const open = shop.value;
    const current = open === null ? null : theSession().current;
    if (open === null || current === null) return undefined;
    const name = databaseName(current);
    const ending = known.watchQueue(open.client, { database: name, tabs: name, sessionTabs: "rientro-session" });
    void checkPush(known.registration, theSession()).catch(() => undefined);
    void lookAtPush();
    const status = open.client.liveStatus();
    const told = status.subscribe(({ rejected }) => void showBadge(rejected));
    return () => {
      told();
      void ending.then((end) => end());
    };
  });
}

/** Take the newer build; false where something is begun. */
export function takeUpdate(): boolean {
  if (worker === null) {
    location.reload();
    return true;
  }
  return worker.updates.apply();
}

/** Ask for notifications, or end them. Call it from a tap. Throws what the session throws. */
export async function askForPush(lang: string): Promise<void> {
  if (worker !== null) push.value = await subscribePush(worker.registration, theSession(), lang);
}

export async function endPush(): Promise<void> {
  if (worker === null) return;
  await unsubscribePush(worker.registration, theSession());
  await lookAtPush();
}

async function lookAtPush(): Promise<void> {
  if (worker !== null) push.value = await pushState(worker.registration);
}
