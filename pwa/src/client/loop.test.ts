/** The loop by itself: every way of not getting an answer, and that none of them costs a mutation. */
import { describe, expect, test } from "vitest";
import { openClient } from "./client";
import { deviceKey } from "./devicekey";
import type { SyncClient } from "./door";
import { HeldError, UnexpectedAnswerError } from "./errors";
import { TRANSITIONS } from "./loop";
import { memoryStore } from "./memory";
import { seededRuntime, type TestRuntime } from "./testing";
import { retryAfterS } from "./transport";
import type { LoopState } from "./types";

const KEY = `rnt_${"1".repeat(32)}_${"2".repeat(32)}_${"3".repeat(64)}`;
const EPOCH = "epoch-1";

interface Request {
  readonly client_id: string;
  readonly cursor: string | null;
  readonly mutations: readonly { readonly mutation_id: number; readonly uid: string }[];
}

/** An answer that takes all there is. */
function answerTo(request: Request, more: object = {}): Response {
  const verdicts = request.mutations.map(({ mutation_id, uid }) => ({
    mutation_id,
    uid,
    status: "applied",
    duplicate: false,
    version: 1,
    code: null,
    message: null,
    conflict_id: null,
    superseded: [],
    clamped: false,
  }));
  const last = request.mutations.at(-1)?.mutation_id ?? 0;
  const page = { changes: [], dropped: [], cursor: "c1", more: false, reset: false, digest: null, head: "h1" };
  const told = { server_time: "2026-11-23T09:00:00.000Z", epoch: EPOCH, last_mutation_id: last, safe_mutation_id: 0 };
  return Response.json({ protocol: 1, ...told, verdicts, ...page, ...more });
}

function problem(status: number, code: string | null, headers: { readonly [name: string]: string } = {}): Response {
  const body = code === null ? "<html>sign in to the hotel's network</html>" : JSON.stringify({ code, detail: code });
  return new Response(body, { status, headers });
}

type Says = (request: Request) => Response | Error;

/** A client whose network does what the script says, request by request, and then answers. */
async function scripted(
  ...script: readonly Says[]
): Promise<{ client: SyncClient<object>; runtime: TestRuntime; sent: Request[] }> {
  const sent: Request[] = [];
  const left = [...script];
  const runtime = seededRuntime("loop", async (path, init) => {
    if (path === "/v1/live") return silence(init);
    const request = JSON.parse(await new Response(init.body).text()) as Request;
    sent.push(request);
    const said = (left.shift() ?? answerTo)(request);
    if (said instanceof Error) throw said;
    return said;
  });
  const settings = { gzipOverBytes: 1e9, collections: ["products"], runtime, store: memoryStore() };
  return { client: await openClient<object>({ url: "", bearer: deviceKey(KEY), ...settings }), runtime, sent };
}

/** A stream that never comes. */
function silence({ signal }: RequestInit): Promise<Response> {
  return new Promise((_done, fail) => signal?.addEventListener("abort", () => fail(new TypeError("stopped"))));
}

const note = { collection: "products", op: "create", fields: { name: "Caffè" } } as never;

describe("trouble passes, and the same is sent again", () => {
  const trouble: { readonly [name: string]: Says } = {
    "no network": () => new TypeError("no route"),
    "a server that says later": () => problem(503, "unavailable", { "Retry-After": "7" }),
    "too many requests": () => problem(429, "too_many_device", { "Retry-After": "7" }),
    "a hotel's sign-in page": () => problem(401, null),
    "a proxy's error": () => problem(502, null),
    "a page that says 200": () => problem(200, null),
    "half an answer": () => new Response('{"protocol": 1, "verd'),
    "an answer of another form": () => Response.json({ protocol: 1 }),
    "mutations without a verdict": (request) => answerTo({ ...request, mutations: [] }),
  };
  test.each(Object.entries(trouble))("%s", async (_name, says) => {
    const { client, runtime, sent } = await scripted(says);
    const states: LoopState[] = [];
    client.on("moment", (moment) => states.push(moment.state));
    const made = await client.mutate(note);
    await client.drain();
    const uids = sent.slice(0, 2).map((request) => request.mutations.map((one) => one.uid));
    expect(uids).toEqual([[made[0]!.uid], [made[0]!.uid]]);
    expect(states.slice(0, 4)).toEqual(["syncing", "backing_off", "syncing", "idle"]);
    expect(runtime.slept.length).toBe(1);
    expect((await client.status()).pending).toBe(0);
  });

  test("a server's Retry-After is waited for", async () => {
    const { client, runtime } = await scripted(() => problem(429, "too_many_device", { "Retry-After": "7" }));
    await client.mutate(note);
    await client.drain();
    expect(runtime.slept[0]).toBeGreaterThanOrEqual(7);
  });
});

describe("what somebody has to do something about holds the queue", () => {
  test.each([
    [401, "unauthenticated", "held_signed_out", "signed_out"],
    [403, "revoked", "held_signed_out", "refused"],
    [403, "foreign_client", "held_signed_out", "foreign_queue"],
    [410, "tenant_gone", "held_signed_out", "tenant_gone"],
    [400, "unsupported_protocol", "held_update_needed", "update_needed"],
  ])("%d %s", async (status, code, state, said) => {
    const { client, sent } = await scripted(() => problem(status, code));
    await client.mutate(note);
    await expect(client.drain()).rejects.toBeInstanceOf(HeldError);
    await expect(client.drain()).rejects.toBeInstanceOf(HeldError);
    expect(sent.length).toBe(1);
    expect(await client.status()).toMatchObject({ state, code: said, pending: 1 });
    client.release();
    await client.drain();
    expect(await client.status()).toMatchObject({ state: "idle", code: null, pending: 0 });
  });
});

test("a loop that is held asks nothing until it is released, however often it is woken", async () => {
  const { client, sent } = await scripted(() => problem(401, "unauthenticated"));
  const settled = new Promise<void>((done) => {
    client.on("moment", ({ state }) => state === "idle" && sent.length > 1 && done());
  });
  const stop = client.start();
  while ((await client.status()).state !== "held_signed_out") await new Promise((done) => setTimeout(done, 1));
  await client.mutate(note);
  client.wake();
  await new Promise((done) => setTimeout(done, 20));
  expect(sent.filter((request) => request.client_id !== undefined).length).toBe(1);
  client.release();
  await settled;
  stop();
  expect((await client.status()).pending).toBe(0);
});

test("a batch that is too large is halved until it fits, and grows again", async () => {
  const refuse: Says = (request) => (request.mutations.length > 3 ? problem(413, "too_large") : answerTo(request));
  const { client, sent } = await scripted(...Array.from({ length: 20 }, () => refuse));
  await client.mutate(...Array.from({ length: 10 }, () => note));
  await client.drain();
  expect(sent.map((request) => request.mutations.length).filter((count) => count > 0)).toEqual([10, 5, 2, 2, 2, 2, 2]);
  await expect(scriptedTooLarge()).rejects.toBeInstanceOf(UnexpectedAnswerError);
});

async function scriptedTooLarge(): Promise<void> {
  const { client } = await scripted(() => problem(413, "too_large"));
  await client.mutate(note);
  await client.syncOnce();
}

test("an answer to what was asked before somebody else took the database over is void", async () => {
  const { client, sent } = await scripted(
    (request) => answerTo(request),
    (request) => answerTo(request, { epoch: "epoch-2" }),
  );
  await client.mutate(note);
  await client.syncOnce();
  await client.mutate(note);
  await client.drain(); // the new epoch asks for both again
  expect(sent.at(-2)?.mutations.map((one) => one.mutation_id).length).toBeGreaterThanOrEqual(1);
  expect((await client.status()).pending).toBe(0);
});

test("a server that forgot is given the journal again, in the order it was made", async () => {
  const forget: Says = (request) => answerTo({ ...request, mutations: [] }, { last_mutation_id: 0 });
  const { client, sent } = await scripted(answerTo, forget);
  const made = await client.mutate(note, note);
  await client.syncOnce();
  await client.syncOnce();
  await client.syncOnce();
  expect(sent[2]?.mutations.map((one) => [one.mutation_id, one.uid])).toEqual(
    made.map((one) => [one.mutationId, one.uid]),
  );
});

test("the table is the machine: every state can be left, and nothing else happens", () => {
  expect(Object.values(TRANSITIONS).every((events) => Object.keys(events).length > 0)).toBe(true);
  const reached = new Set(Object.values(TRANSITIONS).flatMap((events) => Object.values(events)));
  expect([...reached].sort()).toEqual(Object.keys(TRANSITIONS).sort());
});

test("Retry-After is a number of seconds or a date", () => {
  const now = Date.parse("2026-11-23T09:00:00Z");
  expect(retryAfterS("120", now)).toBe(120);
  expect(retryAfterS("Mon, 23 Nov 2026 09:01:00 GMT", now)).toBe(60);
  expect(retryAfterS("Mon, 23 Nov 2026 08:00:00 GMT", now)).toBe(0);
  expect([null, "", "soon", "-5", "1.5"].map((text) => retryAfterS(text, now))).toEqual([null, null, null, null, null]);
});
