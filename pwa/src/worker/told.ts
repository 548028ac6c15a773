/** What the page tells its worker: where the queue is. A worker starts without a page, so it is kept. */

/** `database`: the queue's; `tabs`: the name its tabs go by, `sessionTabs`: that of the session's. */
export interface Whose {
  readonly database: string;
  readonly tabs: string;
  readonly sessionTabs: string;
}

const CACHE = "told"; // not `shell-…`: it outlives updates
const PLACE = "/told";

/** Rejects where nothing can be written. */
export async function tellWorker(whose: Whose): Promise<void> {
  const told = await toldByPage();
  if (told?.database === whose.database && told.tabs === whose.tabs && told.sessionTabs === whose.sessionTabs) return;
  await (await caches.open(CACHE)).put(PLACE, Response.json(whose));
}

export async function toldByPage(): Promise<Whose | null> {
  const answer = await caches.match(PLACE, { cacheName: CACHE });
  return answer === undefined ? null : ((await answer.json()) as Whose);
}
