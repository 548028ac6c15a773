/** What tests against the real server share: its commands, merchants, and a network that can be told how to fail. */
import { openClient } from "./client";
import { deviceKey } from "./devicekey";
import type { Bearer, ClientSettings, SyncClient } from "./door";
import type { Collections, Sale } from "./generated/collections";
import { memoryStore } from "./memory";
import { REAL, type Fetch, type Runtime } from "./runtime";
import type { Store } from "./store";
import { seeded } from "./testing";
import type { Some } from "./types";

export const COLLECTIONS = ["sales", "products", "customers", "conflicts"] as const;
const COMMANDS = process.env["RIENTRO_PEER"] ?? "";

export interface Merchant {
  readonly tenant: string;
  readonly owner: string;
  readonly till: string;
  /** The token of a one-time link for its person, Anna. */
  readonly link: string;
}

/** Where the server is in its present life. */
export const server = { url: "" };

export async function command<T = unknown>(name: string, body: object = {}): Promise<T> {
  const answer = await fetch(`${COMMANDS}/${name}`, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return (await answer.json()) as T;
}

export async function startServer(kind: "app" | "process" = "app"): Promise<void> {
  server.url = (await command<{ readonly url: string }>(`start?kind=${kind}`)).url;
}

/** End its life; a process is killed. */
export async function stopServer(): Promise<void> {
  await command("stop");
}

export type Fault = "lose_request" | "lose_answer" | "busy" | "cut_answer" | null;

/** The network between one client and the server: what `fault` says befalls the next request. */
export function network(fault: (path: string) => Fault = () => null): Fetch {
  return async (path, init) => {
    const befalls = fault(path);
    if (befalls === "lose_request") throw new TypeError("no route");
    if (befalls === "busy") return new Response("{}", { status: 503, headers: { "Retry-After": "0" } });
    const answer = await fetch(server.url + path, init);
    if (befalls === "lose_answer") {
      await answer.arrayBuffer();
      throw new TypeError("the line went dead");
    }
    if (befalls === "cut_answer") return new Response((await answer.text()).slice(0, -20), { status: answer.status });
    return answer;
  };
}

export function runtimeOver(fetch: Fetch, seed = "peer", skewMs = 0): Runtime {
  return { ...REAL, random: seeded(seed), fetch, clockMs: () => Date.now() + skewMs };
}

export interface Making extends Partial<ClientSettings> {
  readonly fetch?: Fetch;
  readonly skewMs?: number;
  readonly seed?: string;
}

/** A client of a device's key, or of another bearer, with small batches and short waits. */
export function clientOf(key: string | Bearer, making: Making = {}): Promise<SyncClient<Collections>> {
  const { fetch = network(), skewMs = 0, seed = "peer", ...settings } = making;
  return openClient<Collections>({
    url: "",
    bearer: typeof key === "string" ? deviceKey(key) : key,
    store: memoryStore(),
    collections: COLLECTIONS,
    page: 20,
    batch: 10,
    intervalS: 60,
    backoffBaseS: 0.005,
    backoffCapS: 0.02,
    runtime: runtimeOver(fetch, seed, skewMs),
    ...settings,
  });
}

export function productFields(name = "Caffè") {
  return { name, price: "1.20", vat_rate: "10.00" };
}

export function saleFields(more: Some<Sale> = {}): Some<Sale> {
  const total = "12.20";
  return {
    shop: "centro",
    terminal_id: "cassa-1",
    business_day: "2026-11-23",
    sold_at: "2026-11-23T09:00:00.000Z",
    lines: [{ description: "Menù", quantity: "1.000", unit_price: total, total, vat_rate: "22.00" }],
    vat: [{ rate: "22.00", gross: total, net: "10.00", vat: "2.20" }],
    total,
    payment_method: "cash",
    ...more,
  };
}

/** What a client sees, by collection and id: version and fields. */
export async function seenBy(client: SyncClient<Collections>): Promise<object> {
  const seen: { [name: string]: object } = {};
  for (const name of COLLECTIONS) {
    const records = await client.records(name);
    seen[name] = Object.fromEntries([...records].map(([id, { version, fields }]) => [id, { version, fields }]));
  }
  return seen;
}

/** The same of the Python client, afresh. */
export async function seenByPython(token: string): Promise<object> {
  interface Told {
    readonly records: { readonly [name: string]: { readonly [id: string]: { version: number; fields: object } } };
  }
  const { records } = await command<Told>("python", { token });
  const plain = Object.entries(records).map(([name, all]) => {
    const ones = Object.entries(all).map(([id, { version, fields }]) => [id, { version, fields }]);
    return [name, Object.fromEntries(ones)];
  });
  return Object.fromEntries(plain) as object;
}

/** A store that stays when its client is gone, for a client that is opened again. */
export function keptStore(): { readonly again: () => Store } {
  const store = memoryStore();
  return { again: () => ({ ...store, read: store.read, write: store.write, close: async () => undefined }) };
}

/** The receipt numbers of all sales that a client sees. */
export async function receipts(client: SyncClient<Collections>): Promise<number[]> {
  const sales = await client.records("sales");
  return [...sales.values()].map((sale) => sale.fields.receipt_no).sort((one, other) => one - other);
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}
