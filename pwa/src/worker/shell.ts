/**
 * The app's shell: the files it starts from, all of one build, kept so that it starts without a network.
 *
 * 1. All of a build's files are stored, or none: an update that breaks off leaves the app that was there.
 * 2. What the API answers is never kept here, nor this worker's own script.
 * 3. The build before stays until the next one: a tab that still runs it may yet ask for one of its files.
 */
import type { Fetched } from "./scope";

declare const __FILES__: readonly string[]; // filled in by build/worker.ts
declare const __VERSION__: string;

const PREFIX = "shell-";
const CURRENT = PREFIX + __VERSION__;
const START = "/index.html";
const SERVERS = /^\/(v1|health|\.well-known)\/|^\/(metrics|openapi\.json|sw\.js)$/;

/** Keep this build's files. Rejects, with nothing changed, where one of them does not come. */
export async function keepShell(): Promise<void> {
  const isNew = !(await caches.has(CURRENT)); // another worker of the same files may live on what is there
  const cache = await caches.open(CURRENT);
  try {
    await cache.addAll(__FILES__.map((file) => new Request(file, { cache: "reload" })));
  } catch (error) {
    if (isNew) await caches.delete(CURRENT);
    throw error;
  }
}

/** Drop the files of all builds but this one and the one before; names come in the order they were made. */
export async function dropOldShells(): Promise<void> {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CURRENT);
  await Promise.all(others.slice(0, -1).map((name) => caches.delete(name)));
}

/** Answer from what is kept, where it is the app that is asked for. */
export function answerFetch(event: Fetched): void {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin || SERVERS.test(url.pathname)) return;
  event.respondWith(request.mode === "navigate" ? kept(START, request) : kept(url.pathname, request));
}

/** The address of a file of this build, if it has one of that name. */
export function fileNamed(part: string): string | undefined {
  return __FILES__.find((file) => file.includes(part));
}

async function kept(path: string, request: Request): Promise<Response> {
  const found = (await caches.match(path, { cacheName: CURRENT })) ?? (await caches.match(path));
  return found ?? fetch(request);
}
