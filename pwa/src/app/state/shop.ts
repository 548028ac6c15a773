/**
 * The open shop: who is signed in on this device, their client, and what the server calls them.
 *
 * What the server said of them last is kept, so that a till opens without a network.
 */
import { signal } from "@preact/signals";
import {
  browserTabs,
  databaseName,
  openClient,
  openSession,
  ownerOf,
  type Session,
  type SyncClient,
} from "../../client";
import { readSetting, writeSetting } from "../settings";
import { PULLED, type AppCollections } from "./collections";
import { adoptCookie } from "./adopt";

/** The store comes in a script of its own, asked for at once and not waited for by what is drawn first. */
const storing = import("../../client/dexie");

export type Client = SyncClient<AppCollections>;

/** Who the server says is here. */
export interface Me {
  readonly merchant: { readonly tenant_id: string; readonly name: string; readonly handle: string | null };
  readonly device: { readonly device_id: string; readonly name: string };
  readonly person: { readonly person_id: string; readonly name: string; readonly login: string | null } | null;
  readonly role: string;
  readonly shop: string;
}

export interface OpenShop {
  readonly client: Client;
  readonly owner: string;
}

export type Stage = "opening" | "outside" | "inside" | "broken";

export const stage = signal<Stage>("opening");
export const shop = signal<OpenShop | null>(null);
export const me = signal<Me | null>(null);
/** Whether the server ended the sign-in; the data is shown all the same. */
export const isOver = signal(false);
/** Why the app could not open: a browser that keeps no data, or a database of a newer app. */
export const broken = signal<unknown>(null);

let session: Session | null = null;

/** The session; there is one as soon as the app has started. */
export function theSession(): Session {
  if (session === null) throw new Error("the session is not open yet");
  return session;
}

/** The client of who is signed in. Only for what is drawn inside. */
export function theClient(): Client {
  if (shop.value === null) throw new Error("nobody is signed in");
  return shop.value.client;
}

/** Open what was open before; from the network nothing is waited for. */
export async function openShop(cameBack: boolean): Promise<void> {
  try {
    if (cameBack) await adoptCookie();
    session = await openSession({ url: "", tabs: browserTabs("rientro-session") });
    session.subscribe(() => void follow());
    await follow();
  } catch (error) {
    broken.value = error;
    stage.value = "broken";
  }
}

/** Be where the session is: somebody signed in, out, or another person came. */
async function follow(): Promise<void> {
  const current = theSession().current;
  isOver.value = theSession().over;
  if (current === null) return leave();
  const owner = ownerOf(current);
  if (shop.value?.owner === owner) {
    if (!isOver.value && me.value === null) void learn(owner);
    return;
  }
  await leave("opening");
  const name = databaseName(current);
  const client = await openClient<AppCollections>({
    url: "",
    bearer: theSession(),
    store: (await storing).dexieStore(name),
    tabs: browserTabs(name),
    collections: PULLED,
  });
  client.start();
  me.value = remembered(owner);
  shop.value = { client, owner };
  stage.value = "inside";
  void learn(owner);
}

async function leave(then: Stage = "outside"): Promise<void> {
  const open = shop.value;
  shop.value = null;
  me.value = null;
  stage.value = then;
  await open?.client.close();
}

/** Ask the server who is here; without a network what it said last holds. */
export async function learn(owner: string): Promise<void> {
  try {
    const told = await theSession().ask<unknown>("GET", "/v1/auth/me");
    if (shop.value?.owner !== owner) return;
    me.value = told as Me;
    writeSetting(`me/${owner}`, JSON.stringify(told));
  } catch {
    if (shop.value?.owner === owner) setTimeout(() => me.value === null && void learn(owner), 5_000);
  }
}

function remembered(owner: string): Me | null {
  try {
    return JSON.parse(readSetting(`me/${owner}`) ?? "null") as Me | null;
  } catch {
    return null;
  }
}

/** Whether what only an owner may see is drawn; the server decides for itself. */
export function isOwner(): boolean {
  return me.value?.role === "owner";
}

/** Whether products and customers may be edited here. */
export function mayEdit(): boolean {
  return me.value !== null && me.value.role !== "terminal";
}
