/** The library through the real server, in one life of it after the other. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ForeignQueueError, SignedOutError } from "./errors";
import { deviceKey } from "./devicekey";
import { memoryKeep } from "./keep";
import { memoryStore } from "./memory";
import {
  clientOf,
  command,
  keptStore,
  network,
  productFields,
  receipts,
  runtimeOver,
  saleFields,
  seenBy,
  seenByPython,
  server,
  startServer,
  stopServer,
  upTo,
  type Fault,
  type Merchant,
} from "./peer";
import { openSession } from "./session";
import type { Store } from "./store";
import { SHAPES, type Tables } from "./tables";
import { seeded } from "./testing";

beforeAll(() => startServer());
afterAll(() => stopServer());

const take = () => command<Merchant>("take");

test("sales made offline come home through a network that loses every second answer, and stock follows", async () => {
  const merchant = await take();
  let count = 0;
  const lossy = network((path) => (path === "/v1/sync" && (count += 1) % 2 === 1 ? "lose_answer" : null));
  const office = await clientOf(merchant.owner);
  const till = await clientOf(merchant.till, { fetch: lossy });
  const coffee = await office.create("products", productFields(), { increments: { stock: "100" } });
  await office.drain();
  await till.drain();
  for (let at = 0; at < 25; at += 1) {
    const line = { description: "Caffè", quantity: "2.000", unit_price: "1.20", total: "2.40", vat_rate: "10.00" };
    await till.sell(saleFields({ lines: [{ ...line, product_id: coffee.recordId }] }));
  }
  expect((await till.status()).pending).toBe(25);
  await till.drain();
  await office.drain();
  expect((await office.record("products", coffee.recordId))?.fields.stock).toBe("50.000");
  expect(await receipts(office)).toEqual(upTo(25));
  expect(await seenBy(till)).toEqual(await seenBy(office));
  expect(await seenBy(office)).toEqual(await seenByPython(merchant.owner));
  expect(new Set((await till.entries()).map((entry) => entry.state))).toEqual(new Set(["settled"]));
  expect(await till.status()).toMatchObject({ pending: 0, differences: 0, complete: true, state: "idle" });
});

test("what is seen before the server answers is what it makes of it", async () => {
  const merchant = await take();
  const office = await clientOf(merchant.owner);
  const more = { increments: { stock: "3" }, adds: { tags: ["bar"] } };
  const coffee = await office.create("products", productFields(), more);
  await office.update("products", coffee.recordId, { category: "Bar" }, { removes: { tags: ["none"] } });
  const before = (await office.record("products", coffee.recordId))!;
  expect([before.unsent, before.version]).toEqual([2, 0]);
  await office.drain();
  const after = (await office.record("products", coffee.recordId))!;
  expect(after.fields).toEqual(before.fields);
  expect([after.unsent, after.version]).toEqual([0, 2]);
});

test("what a till may not do is kept with its content, corrected, sent again, or put aside", async () => {
  const merchant = await take();
  const till = await clientOf(merchant.till);
  const told: string[] = [];
  till.on("verdicts", (verdicts) => told.push(...verdicts.map((verdict) => `${verdict.status} ${verdict.code}`)));
  const refused = await till.create("products", productFields());
  const sold = await till.sell(saleFields());
  await till.drain();
  const [entry] = await till.rejected();
  expect([entry?.uid, entry?.verdict?.code, entry?.content.fields?.["name"]]).toEqual([
    refused.uid,
    "forbidden",
    "Caffè",
  ]);
  expect(told).toEqual(["rejected forbidden"]);
  expect([...(await till.records("sales")).keys()]).toEqual([sold.recordId]);
  expect((await till.records("products")).size).toBe(0);
  expect(await till.exportEntries("csv", "rejected")).toContain("forbidden");
  const again = await till.resend(refused.uid, { name: "Tè" });
  await till.drain();
  expect((await till.rejected()).map((one) => [one.uid, one.content.fields?.["name"]])).toEqual([[again.uid, "Tè"]]);
  await till.dismiss(again.uid);
  expect((await till.status()).rejected).toBe(0);
});

test("two who change a price open a conflict, and one of them decides it offline", async () => {
  const merchant = await take();
  const [office, other] = [await clientOf(merchant.owner), await clientOf(merchant.owner)];
  const coffee = await office.create("products", productFields());
  await office.drain();
  await other.drain();
  await office.update("products", coffee.recordId, { price: "1.30", vat_rate: "10.00" });
  await other.update("products", coffee.recordId, { price: "1.40", vat_rate: "10.00" });
  await office.drain();
  await other.drain();
  expect((await other.record("products", coffee.recordId))?.fields.price).toBe("1.30");
  const [conflict] = [...(await other.conflicts()).values()];
  await other.decide(conflict!.recordId, "mine");
  expect((await other.conflicts()).size).toBe(0);
  await other.drain();
  await office.drain();
  expect((await office.record("products", coffee.recordId))?.fields.price).toBe("1.40");
  expect((await office.conflicts()).size).toBe(0);
  expect(await seenBy(other)).toEqual(await seenBy(office));
  expect(await seenBy(office)).toEqual(await seenByPython(merchant.owner));
});

test("a copied database goes on under an id of its own, and nothing of either is lost", async () => {
  const merchant = await take();
  const store = keptStore();
  const till = await clientOf(merchant.till, { store: store.again() });
  await till.sell(saleFields());
  await till.drain();
  const copied = await clientOf(merchant.till, { store: await copyOf(store.again()) });
  await till.sell(saleFields({ note: "original" }));
  await copied.sell(saleFields({ note: "copy" }));
  for (const client of [till, copied, till]) await client.drain();
  expect((await till.records("sales")).size).toBe(3);
  expect(await seenBy(till)).toEqual(await seenBy(copied));
});

test("a wrong key and a strange device hold the queue, and the right one goes on", async () => {
  const merchant = await take();
  const bearer = deviceKey(merchant.till);
  const till = await clientOf(bearer);
  await till.sell(saleFields());
  await till.drain();
  await till.sell(saleFields());
  bearer.replace(`${merchant.till.slice(0, -4)}0000`);
  await expect(till.drain()).rejects.toBeInstanceOf(SignedOutError);
  expect(await till.status()).toMatchObject({ state: "held_signed_out", code: "signed_out", pending: 1 });
  bearer.replace(merchant.owner);
  await expect(till.drain()).rejects.toBeInstanceOf(ForeignQueueError);
  bearer.replace(merchant.till);
  await till.drain();
  expect(await till.status()).toMatchObject({ state: "idle", pending: 0 });
});

test("a clock that is wrong by hours is put right by the first answer", async () => {
  const merchant = await take();
  const till = await clientOf(merchant.till, { skewMs: 7 * 3_600_000 });
  await till.drain();
  await till.sell(saleFields());
  await till.drain();
  const [entry] = await till.journal();
  expect(entry?.verdict?.clamped).toBe(false);
  expect(Math.abs(Date.parse(entry!.madeAt) - Date.now())).toBeLessThan(120_000);
});

test("a poke brings news long before the interval has passed", async () => {
  const merchant = await take();
  const [office, till] = [await clientOf(merchant.owner), await clientOf(merchant.till)];
  const seen = new Promise<number>((done) => {
    office.liveRecords("sales").subscribe((sales) => sales.size > 0 && done(sales.size));
  });
  const stop = office.start();
  while (!(await office.status()).complete) await new Promise((done) => setTimeout(done, 5));
  await till.sell(saleFields());
  await till.drain();
  expect(await seen).toBe(1);
  stop();
  await office.close();
});

test("a person signs in, is renewed with an answer lost, signs out, and comes back to the same queue", async () => {
  const merchant = await take();
  let fault: Fault = null;
  const fetch = network((path) => (path === "/v1/auth/refresh" ? fault : null));
  const runtime = runtimeOver(fetch);
  const keep = memoryKeep();
  const session = await openSession({ url: "", cookie: false, keep, runtime });
  const signed = await session.setUp({ token: merchant.link, name: "Anna", login: "anna", password: "un caffè lungo" });
  const office = await clientOf(session);
  await office.create("products", productFields());
  await office.drain();
  const cold = await openSession({ url: "", cookie: false, keep, runtime });
  expect(cold.current).toEqual(signed);
  fault = "lose_answer";
  await expect(cold.token()).rejects.toThrow("no answer");
  fault = null;
  const me = await cold.ask<{ readonly person: { readonly name: string } }>("GET", "/v1/auth/me");
  expect(me.person.name).toBe("Anna");
  await cold.signOut();
  expect([cold.current, cold.owner]).toEqual([null, null]);
  await expect(cold.token()).rejects.toBeInstanceOf(SignedOutError);
  await expect(session.renew(await session.token())).rejects.toBeInstanceOf(SignedOutError);
  const back = await cold.byPassword({ merchant: merchant.tenant, login: "anna", password: "un caffè lungo" });
  expect([back.personId, back.tenantId]).toEqual([signed.personId, signed.tenantId]);
  const twice = await cold.byPassword({ merchant: merchant.tenant, login: "anna", password: "un caffè lungo" });
  expect(twice.deviceId).toBe(back.deviceId);
});

test("a server put back to an old backup gets everything again, once", async () => {
  const merchant = await take();
  const store = keptStore();
  const till = await clientOf(merchant.till, { store: store.again() });
  await till.sell(saleFields());
  await till.drain();
  await stopServer();
  await command("backup");
  await startServer();
  for (let at = 0; at < 12; at += 1) await till.sell(saleFields());
  await till.drain();
  await till.sell(saleFields());
  await stopServer();
  await command("restore");
  await startServer();
  const office = await clientOf(merchant.owner);
  await till.drain();
  await office.drain();
  expect(await receipts(office)).toEqual(upTo(14));
  expect(await seenBy(till)).toEqual(await seenBy(office));
  expect(await seenBy(office)).toEqual(await seenByPython(merchant.owner));
});

test("a server killed in the middle of a queue has what it said it has, and gets the rest, once", async () => {
  const merchant = await take();
  await stopServer();
  await startServer("process");
  const random = seeded("killed");
  let asked = 0;
  const killing = network((path) => (path === "/v1/sync" ? ((asked += 1) === 3 ? "lose_answer" : null) : null));
  const till = await clientOf(merchant.till, { fetch: killing });
  for (let at = 0; at < 40; at += 1) await till.sell(saleFields({ note: String(random()) }));
  for (let at = 0; at < 2; at += 1) await till.syncOnce();
  const cut = till.syncOnce().catch(() => undefined); // answered or not, nobody hears it
  await stopServer();
  await cut;
  expect((await till.status()).pending).toBe(20);
  await startServer();
  await till.drain();
  const office = await clientOf(merchant.owner);
  await office.drain();
  expect(await receipts(office)).toEqual(upTo(40));
  expect(await seenBy(till)).toEqual(await seenBy(office));
  expect(server.url).not.toBe("");
});

/** Every row of a store, in another one. */
async function copyOf(store: Store): Promise<Store> {
  const copy = memoryStore();
  for (const name of Object.keys(SHAPES) as (keyof Tables)[]) {
    const rows = await store.read<object[]>((tx) => tx[name].range({}));
    await copy.write((tx) => tx[name].put(rows as never));
  }
  return copy;
}
