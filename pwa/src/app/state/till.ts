/**
 * The till: its series, its open day, and the slip that is being rung up.
 *
 * 1. The series is the device's own, and its number is given in the sale's own transaction: final, never given twice.
 *    Where this device's database was lost, it goes on after the highest number the server knows of it.
 * 2. The business day is the open day: it opens with the first sale after a closing, and stays until the next closing,
 *    whatever the clock says meanwhile.
 */
import { signal } from "@preact/signals";
import type { Made } from "../../client";
import { EMPTY, saleOf, type Basket, type Till } from "../basket";
import { romeDay } from "../format";
import { readSetting, writeSetting } from "../settings";
import { me, shop, theClient, type Me } from "./shop";

export const basket = signal<Basket>(EMPTY);
/** The sale that was just rung up: the slip shows it until the next tap. */
export const lastSale = signal<{ readonly made: Made; readonly basket: Basket; readonly method: string } | null>(null);
/** The next number of this till's series; null while it is not known. */
export const nextNumber = signal<number | null>(null);

/** A till's day. `closedTo` is the last receipt of its last closing. */
export interface TillDay {
  readonly open: string | null;
  readonly closedTo: number;
  readonly closings: number;
}

const NEW_DAY: TillDay = { open: null, closedTo: 0, closings: 0 };
export const tillDay = signal<TillDay>(NEW_DAY);

/** The series' name: the device's, made short, and enough of its id to be nobody else's. */
export function terminalOf(who: Me): string {
  const plain = who.device.name
    .normalize("NFD")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .toLowerCase();
  return `${plain.slice(0, 24) || "cassa"}-${who.device.device_id.slice(-4)}`;
}

/** Where a sale is made now; null while the shop is not known. */
export async function tillNow(): Promise<Till | null> {
  const who = me.value;
  if (who === null) return null;
  const businessDay = tillDay.value.open ?? romeDay(await theClient().serverNowMs());
  return { shop: who.shop, terminalId: terminalOf(who), businessDay };
}

/** Read this device's day, and let its series go on where the server's records of it end. */
export async function openTill(): Promise<void> {
  const [who, open] = [me.value, shop.value];
  if (who === null || open === null) return;
  tillDay.value = readDay(open.owner);
  const terminalId = terminalOf(who);
  const sales = await open.client.records("sales");
  let highest = 0;
  for (const { fields } of sales.values()) {
    if (fields.terminal_id === terminalId) highest = Math.max(highest, fields.receipt_no);
  }
  await open.client.continueSeries(terminalId, highest);
  nextNumber.value = (await open.client.lastNumber(terminalId)) + 1;
}

/** Ring up the slip: one transaction on this device. Throws LocalError, and then nothing was sold. */
export async function sell(method: string): Promise<Made | null> {
  const till = await tillNow();
  const sold = basket.value;
  if (till === null || sold.lines.length === 0) return null;
  const client = theClient();
  const soldAt = new Date(await client.serverNowMs()).toISOString();
  const made = await client.sell(saleOf(sold, till, method, soldAt));
  if (tillDay.value.open === null) keepDay({ ...tillDay.value, open: till.businessDay });
  basket.value = EMPTY;
  lastSale.value = { made, basket: sold, method };
  nextNumber.value = (made.number ?? 0) + 1;
  return made;
}

/** Void what was just sold, and put its items back on the slip. */
export async function undoSale(made: Made): Promise<void> {
  await theClient().update("sales", made.recordId, { status: "voided" });
  const undone = lastSale.value;
  lastSale.value = null;
  if (undone?.made.recordId === made.recordId && basket.value.lines.length === 0) basket.value = undone.basket;
}

export function keepDay(day: TillDay): void {
  tillDay.value = day;
  if (shop.value !== null) writeSetting(`day/${shop.value.owner}`, JSON.stringify(day));
}

function readDay(owner: string): TillDay {
  try {
    return { ...NEW_DAY, ...(JSON.parse(readSetting(`day/${owner}`) ?? "{}") as Partial<TillDay>) };
  } catch {
    return NEW_DAY;
  }
}
