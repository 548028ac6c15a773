/** The service worker: which event goes where. Built by `build/worker.ts` into one script, `/sw.js`. */
import { openNotice, showNotice } from "./notice";
import { sendQueue } from "./queue";
import { renewSubscription } from "./renewal";
import { SCOPE } from "./scope";
import { answerFetch, dropOldShells, keepShell } from "./shell";
import { SKIP_WAITING, SYNC_TAG } from "./words";

SCOPE.addEventListener("install", (event) => event.waitUntil(keepShell()));

SCOPE.addEventListener("activate", (event) => event.waitUntil(dropOldShells().then(() => SCOPE.clients.claim())));

SCOPE.addEventListener("fetch", answerFetch);

SCOPE.addEventListener("message", (event) => {
  if (event.data === SKIP_WAITING) event.waitUntil(SCOPE.skipWaiting()); // a person said so: `updates.ts`
});

SCOPE.addEventListener("sync", (event) => {
  if (event.tag === SYNC_TAG) event.waitUntil(sendQueue());
});

SCOPE.addEventListener("push", (event) => event.waitUntil(showNotice(event)));

SCOPE.addEventListener("notificationclick", (event) => event.waitUntil(openNotice(event)));

SCOPE.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renewSubscription(event)));
