/**
 * The page's side of the service worker. The app calls `registerWorker` once, at its start; without service workers (an
 * address without HTTPS, a private window) it gets null and works while there is a network to load it from.
 */
import type { SyncClient } from "../client/door";
import type { Shop } from "../client/types";
import { tellWorker, type Whose } from "./told";
import { Updates } from "./updates";
import { isOpen, SCRIPT, SYNC_TAG } from "./words";

export type { Whose } from "./told";
export type { Updates } from "./updates";
export { checkPush, pushState, subscribePush, unsubscribePush, type PushState } from "./push";

declare global {
  interface ServiceWorkerRegistration {
    readonly sync?: { register(tag: string): Promise<void> }; // Chromium's
  }
  interface Window {
    readonly trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy };
  }
}

interface Policy {
  createScriptURL(url: string): unknown;
}

export interface AppWorker {
  readonly registration: ServiceWorkerRegistration;
  readonly updates: Updates;
  /** Have the worker send the queue when this page is gone and a network comes back; the returned function ends it. */
  watchQueue<S extends Shop>(client: SyncClient<S>, whose: Whose): Promise<() => void>;
  /** Hear of tapped notifications: show what is at that path. */
  onOpen(open: (path: string) => void): () => void;
}

/** `isClean` says whether a reload would lose nothing that a person has typed or begun. Null: no service workers here. */
export async function registerWorker(isClean: () => boolean): Promise<AppWorker | null> {
  if (!("serviceWorker" in navigator)) return null;
  let registration: ServiceWorkerRegistration;
  try {
    registration = await navigator.serviceWorker.register(trusted(SCRIPT), { updateViaCache: "none" });
  } catch {
    return null; // forbidden here, or no network at the very first start
  }
  return {
    registration,
    updates: new Updates(registration, isClean),
    watchQueue: (client, whose) => watchQueue(registration, client, whose),
    onOpen,
  };
}

/** The number on the app's icon; 0 takes it away. */
export async function showBadge(count: number): Promise<void> {
  await navigator.setAppBadge?.(count).catch(() => undefined); // where there is none, nobody misses it
}

async function watchQueue<S extends Shop>(
  registration: ServiceWorkerRegistration,
  client: SyncClient<S>,
  whose: Whose,
): Promise<() => void> {
  await tellWorker(whose).catch(() => undefined); // a full disk: the page sends all the same
  const ask = () => void registration.sync?.register(SYNC_TAG).catch(() => undefined); // the page sends, too
  const left = async () => {
    if (document.visibilityState === "hidden" && (await client.status()).pending > 0) ask();
  };
  const stop = client.on("moment", ({ state }) => state === "backing_off" && ask());
  document.addEventListener("visibilitychange", left);
  return () => {
    stop();
    document.removeEventListener("visibilitychange", left);
  };
}

function onOpen(open: (path: string) => void): () => void {
  const hear = (event: MessageEvent) => isOpen(event.data) && open(event.data.path);
  navigator.serviceWorker.addEventListener("message", hear);
  return () => navigator.serviceWorker.removeEventListener("message", hear);
}

/** The one address of a script that this page makes; the server's headers let this policy pass and no other. */
function trusted(url: string): string {
  const policy = window.trustedTypes?.createPolicy("rientro", { createScriptURL: (wanted) => wanted });
  return (policy?.createScriptURL(url) ?? url) as string;
}
