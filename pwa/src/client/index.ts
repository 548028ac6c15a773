/**
 * The client library's one public door. Everything an app needs is exported here; nothing else is for others.
 *
 *     const session = await openSession({ url: "" });
 *     const client = await openClient<Collections>({ url: "", bearer: session, store: dexieStore("rientro"), collections });
 *     const stop = client.start();
 *     await client.sell({ terminal_id: "cassa-1", ... });   // on disk, and on the screen, when the promise is kept
 *     client.liveRecords("sales").subscribe(show);
 */
export { COLLECTIONS, SCHEMA } from "./generated/collections";
export type * from "./generated/collections";
export type { CollectionShape, Day, Decimal, FieldShape, Instant, Json, Kind, Op, Policy, Uuid } from "./shape";
export type * from "./types";
export type * from "./door";
export * from "./errors";
export type { Options } from "./options";
export { REAL, type Fetch, type Runtime } from "./runtime";
export type { Store } from "./store";
export type { Message, Tabs } from "./tabs";
