/**
 * The page of the browser tests: the client library and the worker's page side, as an app would use them, with what it
 * does at the end of `window.till`. Its address may set the clock off: `/?skew=…` in milliseconds.
 */
import {
  browserTabs,
  COLLECTIONS,
  databaseName,
  dexieStore,
  openClient,
  openSession,
  REAL,
  type Collections,
  type EntryState,
  type Runtime,
  type Sale,
  type Some,
  type SyncClient,
} from "../src/client";
import { checkPush, registerWorker, subscribePush } from "../src/worker/page";
import { step } from "./formats";

const SESSION_TABS = "rientro-session";
const asked = new URLSearchParams(location.search);
const skewMs = Number(asked.get("skew") ?? 0);
const runtime: Runtime = { ...REAL, clockMs: () => Date.now() + skewMs };
const session = await openSession({ url: "", tabs: browserTabs(SESSION_TABS), runtime });
const page = { isClean: true, reloads: Number(sessionStorage.getItem("loads") ?? 0), opened: [] as string[] };
sessionStorage.setItem("loads", String(page.reloads + 1));
const worker = await registerWorker(() => page.isClean);
worker?.onOpen((path) => page.opened.push(path));
let client: SyncClient<Collections> | null = null;

async function open(): Promise<void> {
  if (session.current === null || client !== null) return;
  const name = databaseName(session.current);
  client = await openClient<Collections>({
    url: "",
    bearer: session,
    store: dexieStore(name, step(asked.get("format"))),
    tabs: browserTabs(name),
    collections: Object.keys(COLLECTIONS).filter((one) => ["sales", "products", "conflicts"].includes(one)),
    intervalS: 60,
    backoffBaseS: 0.05,
    backoffCapS: 0.5,
    runtime,
  });
  if (asked.get("idle") === null) client.start();
  await worker?.watchQueue(client, { database: name, tabs: name, sessionTabs: SESSION_TABS });
}

function opened(): SyncClient<Collections> {
  if (client === null) throw new Error("nobody is signed in");
  return client;
}

function saleOf(product: string | null, note: string): Some<Sale> {
  const line = { description: "Caffè", quantity: "1.000", unit_price: "1.10", total: "1.10", vat_rate: "10.00" };
  return {
    shop: "centro",
    terminal_id: asked.get("terminal") ?? "cassa-1",
    business_day: "2026-11-23",
    sold_at: "2026-11-23T09:00:00.000Z",
    lines: [product === null ? line : { ...line, product_id: product }],
    vat: [{ rate: "10.00", gross: "1.10", net: "1.00", vat: "0.10" }],
    total: "1.10",
    payment_method: "cash",
    note,
  };
}

const till = {
  page,
  session,
  worker,
  /** The first sign-in of a merchant's person, by a one-time link. */
  async setUp(token: string) {
    await session.setUp({ token, name: "Anna", login: "anna", password: "una frase lunga e sicura", deviceName: "Cassa" });
    await open();
    await opened().drain();
  },
  async signIn(login: string, merchant: string) {
    await session.byPassword({ login, merchant, password: "una frase lunga e sicura", deviceName: "Cassa" });
    await open();
  },
  async product(): Promise<string> {
    const fields = { name: "Caffè", price: "1.10", vat_rate: "10.00" };
    const made = await opened().create("products", fields, { increments: { stock: "20000" } });
    await opened().drain();
    return made.recordId;
  },
  async sell(product: string | null = null, note = "") {
    const { recordId, uid, number } = await opened().sell(saleOf(product, note));
    return { recordId, uid, number };
  },
  /** Many at once, for a queue that is long. */
  async sellMany(count: number, product: string | null = null) {
    const made: string[] = [];
    for (let at = 0; at < count; at += 500) {
      const number = { field: "receipt_no", series: asked.get("terminal") ?? "cassa-1" };
      const one = () => ({ collection: "sales", op: "create", fields: saleOf(product, ""), number }) as const;
      made.push(...(await opened().mutate(...Array.from({ length: Math.min(500, count - at) }, one))).map((is) => is.recordId));
    }
    return made;
  },
  /** How long each of so many sales takes until it is on disk and can be shown, in milliseconds. */
  async sellTimed(count: number) {
    const live = opened().liveStatus();
    const stop = live.subscribe(() => undefined); // as a screen with its pill would have it
    const took: number[] = [];
    for (let at = 0; at < count; at += 1) {
      const began = performance.now();
      const { recordId } = await opened().sell(saleOf(null, ""));
      await opened().record("sales", recordId);
      took.push(performance.now() - began);
    }
    stop();
    return took;
  },
  /** How long it takes to send all that is queued and to pull what it did, in milliseconds. */
  async drainTimed() {
    const began = performance.now();
    await opened().drain();
    return performance.now() - began;
  },
  async state() {
    const { pending, rejected, waiting, state, code, leads, updateNeeded } = await opened().status();
    return { pending, rejected, waiting, state, code, leads, updateNeeded };
  },
  /** What a person sees of the sales, and of a product's stock. */
  async seen(product: string | null = null) {
    const sales = [...(await opened().records("sales")).values()];
    const stock = product === null ? null : ((await opened().record("products", product))?.fields.stock ?? null);
    const ids = sales.map((sale) => sale.recordId).sort();
    return { ids, unsent: sales.filter((sale) => sale.unsent > 0).length, stock };
  },
  async entries(...states: EntryState[]) {
    return (await opened().entries(...states)).map(({ uid, recordId, state }) => ({ uid, recordId, state }));
  },
  drain: () => opened().drain(),
  wake: () => opened().wake(),
  signOut: () => session.signOut(),
  updates: () => worker?.updates.state ?? "none",
  applyUpdate: () => worker?.updates.apply() ?? false,
  askForUpdate: () => worker?.updates.ask(),
  notices: async () => (await worker?.registration.getNotifications())?.map(({ title, body, tag, data }) => ({ title, body, tag, data: data as unknown })),
  subscribe: async () => (worker === null ? "unsupported" : subscribePush(worker.registration, session, "it")),
  checkPush: async () => worker !== null && checkPush(worker.registration, session),
};

export type TillPage = typeof till;
Object.assign(window, { till });
await open();
if (asked.get("measure") !== null) {
  const { size } = await opened().records("sales");
  document.documentElement.dataset["usable"] = JSON.stringify({ ms: performance.now(), size });
}
document.documentElement.dataset["ready"] = String(performance.now());
