/**
 * The client library's one public door. Everything an app needs is exported here; nothing else is for others.
 *
 *     const session = await openSession({ url: "" });
 *     const client = await openClient({ url: "", bearer: session, store: dexieStore(databaseName(session.current)) });
 *     const stop = client.start();
 *     await client.sell({ terminal_id: "cassa-1", ... }); // on disk, and on the screen, when the promise is kept
 *     client.liveRecords("sales").subscribe(show);
 */
export { openClient } from "./client";
export { centsOf, moneyText, addDecimals, canonicalDecimal, netOfGross, timesCents } from "./decimal";
export { deviceKey, type DeviceKey } from "./devicekey";
export { databasesNamed, dexieStore } from "./dexie";
export * from "./errors";
export { COLLECTIONS, SCHEMA } from "./generated/collections";
export type * from "./generated/collections";
export { databaseKeep, memoryKeep, type Keep } from "./keep";
export { memoryStore } from "./memory";
export type { Options } from "./options";
export { REAL, type Fetch, type Runtime } from "./runtime";
export { databaseName, openSession, ownerOf, type SessionSettings } from "./session";
export type { CollectionShape, Day, Decimal, FieldShape, Instant, Json, Kind, Op, Policy, Uuid } from "./shape";
export type { Store } from "./store";
export { browserTabs, loneTabs, type Message, type Tabs } from "./tabs";
export type * from "./door";
export type * from "./types";
