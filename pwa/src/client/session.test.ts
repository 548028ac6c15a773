/** Staying signed in: attempts, tabs, ends. The server's side of it is in `server.peer.ts`. */
import { IDBFactory } from "fake-indexeddb";
import { afterEach, describe, expect, test } from "vitest";
import type { Session } from "./door";
import { AccessError, SignedOutError, UnreachableError } from "./errors";
import { databaseKeep, memoryKeep, type Keep } from "./keep";
import { databaseName, openSession } from "./session";
import { MemoryLocks, tabsOver } from "./tabs";
import { seededRuntime, type TestRuntime } from "./testing";

const SIGNED = { tenantId: "t", deviceId: "d", personId: "p", sessionId: "s" };

interface Asked {
  readonly path: string;
  readonly body: { readonly [name: string]: unknown };
  readonly headers: { readonly [name: string]: string };
}

type Says = (asked: Asked) => Response | Error;

let issued = 0;

function issue(refresh_token: string | null = null): Response {
  const ids = { tenant_id: "t", device_id: "d", person_id: "p", session_id: "s" };
  return Response.json({
    access_token: `access-${(issued += 1)}`,
    token_type: "Bearer",
    expires_in: 600,
    refresh_token,
    ...ids,
  });
}

function refused(status: number, code: string | null): Response {
  return new Response(code === null ? "<html>hotel</html>" : JSON.stringify({ code, detail: code }), { status });
}

interface World {
  readonly asked: Asked[];
  readonly runtime: TestRuntime;
  readonly keep: Keep;
  readonly says: { now: Says };
  open(more?: object): Promise<Session>;
}

function world(keep: Keep = memoryKeep()): World {
  const asked: Asked[] = [];
  const says: World["says"] = { now: () => issue() };
  const runtime = seededRuntime("session", async (path, init) => {
    const body = JSON.parse(String(init.body ?? "{}")) as Asked["body"];
    asked.push({ path, body, headers: init.headers as Asked["headers"] });
    const said = says.now(asked.at(-1)!);
    if (said instanceof Error) throw said;
    return said;
  });
  return { asked, runtime, keep, says, open: (more = {}) => openSession({ url: "", keep, runtime, ...more }) };
}

const entry = { login: "anna", password: "un caffè lungo" };

afterEach(() => (issued = 0));

test("a page asks for a cookie, says that it means it, and keeps no secret", async () => {
  const { asked, keep, open } = world();
  const session = await open();
  expect(await session.byPassword(entry)).toEqual(SIGNED);
  expect(asked[0]).toMatchObject({ path: "/v1/auth/password", body: { cookie: true }, headers: { "X-Rientro": "1" } });
  const kept = JSON.stringify(await keep.read());
  expect([kept.includes("access-"), kept.includes(entry.password)]).toEqual([false, false]);
  expect(databaseName(SIGNED)).toBe("rientro/t/d/p");
  expect(await session.token()).toBe("access-1");
});

describe("a refresh", () => {
  test("that got no answer is sent again as the same attempt, also by who starts anew", async () => {
    const { asked, says, runtime, open } = world();
    const session = await open();
    await session.byPassword(entry);
    runtime.nowMs += 600_000;
    says.now = () => new TypeError("no route");
    await expect(session.token()).rejects.toBeInstanceOf(UnreachableError);
    await expect(session.token()).rejects.toBeInstanceOf(UnreachableError);
    says.now = () => issue();
    expect(await (await open()).token()).toBe("access-2");
    const attempts = asked.filter((one) => one.path === "/v1/auth/refresh").map((one) => one.body["attempt"]);
    expect([attempts.length, new Set(attempts).size]).toEqual([3, 1]);
    const again = await open();
    await again.token();
    expect(asked.at(-1)?.body["attempt"]).toBe(attempts[0]); // its cookie may have been lost with the browser
    runtime.nowMs += 600_000;
    await again.token();
    expect(asked.at(-1)?.body["attempt"]).not.toBe(attempts[0]);
  });

  test("is one for all who ask, and for all tabs", async () => {
    const { asked, runtime, open, keep } = world();
    await (await open()).byPassword(entry);
    const [locks, hearers] = [new MemoryLocks(), new Set<(event: MessageEvent) => void>()];
    const channel = () => ({
      postMessage: (data: unknown) => hearers.forEach((hear) => hear(new MessageEvent("message", { data }))),
      addEventListener: (_kind: "message", hear: (event: MessageEvent) => void) => void hearers.add(hear),
      close: () => undefined,
    });
    const tab = () => open({ keep, tabs: tabsOver("session", locks, channel()) });
    const [one, other] = [await tab(), await tab()];
    runtime.nowMs += 1;
    const tokens = await Promise.all([one.token(), one.token(), other.token(), one.token()]);
    expect(new Set(tokens).size).toBe(1);
    expect(asked.filter((ask) => ask.path === "/v1/auth/refresh").length).toBe(1);
  });

  test.each(["invalid_refresh", "reused_refresh"])(
    "refused as %s ends the session, and who it was stays known",
    async (code) => {
      const { says, runtime, open } = world();
      const session = await open();
      await session.byPassword(entry);
      runtime.nowMs += 600_000;
      says.now = () => refused(401, code);
      await expect(session.token()).rejects.toBeInstanceOf(SignedOutError);
      expect([session.over, session.current, session.owner]).toEqual([true, SIGNED, "t/d/p"]);
      says.now = () => issue();
      await expect(session.token()).rejects.toBeInstanceOf(SignedOutError);
      await session.byPassword(entry);
      expect([session.over, await session.token()]).toEqual([false, "access-2"]);
    },
  );

  test.each([
    [401, null],
    [503, "unavailable"],
    [429, "too_many_sign_in"],
    [200, null],
  ])("answered by %d %s is trouble, and ends nothing", async (status, code) => {
    const { says, runtime, open } = world();
    const session = await open();
    await session.byPassword(entry);
    runtime.nowMs += 600_000;
    says.now = () => refused(status, code);
    await expect(session.token()).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|unexpected_answer/),
    });
    expect(session.over).toBe(false);
  });
});

test("who comes back is on the device they were on; one who is not known there gets another", async () => {
  const { asked, says, open } = world();
  const session = await open();
  await session.byPassword(entry);
  await session.signOut();
  says.now = ({ body }) => (body["device_id"] === "d" ? refused(403, "not_this_device") : issue());
  await session.byPassword(entry);
  const named = asked.filter((one) => one.path === "/v1/auth/password").map((one) => one.body["device_id"]);
  expect(named).toEqual([undefined, "d", undefined]);
  says.now = () => refused(401, "wrong_password");
  await expect(session.byPassword(entry)).rejects.toBeInstanceOf(AccessError);
  expect(session.current).toEqual(SIGNED);
});

test("signing out without a network ends it here at once, and there when there is one", async () => {
  const { asked, says, open } = world();
  const session = await open({ cookie: false });
  says.now = () => issue("rnr_secret");
  await session.byPassword(entry);
  says.now = () => new TypeError("no route");
  await session.signOut();
  expect(session.current).toBeNull();
  await expect(session.token()).rejects.toBeInstanceOf(SignedOutError);
  says.now = () => Response.json({ status: "signed_out" });
  await open();
  await new Promise((done) => setTimeout(done, 1));
  const ends = asked.filter((one) => one.path === "/v1/auth/sign-out").map((one) => one.body["refresh_token"]);
  expect(ends).toEqual(["rnr_secret", "rnr_secret"]);
  expect((await open()).current).toBeNull();
});

test("what is kept is on disk, for a page and a worker alike", async () => {
  globalThis.indexedDB = new IDBFactory();
  const { open } = world(databaseKeep("kept"));
  await (await open()).byPassword(entry);
  expect((await openSession({ url: "", keep: databaseKeep("kept"), runtime: seededRuntime("cold") })).current).toEqual(
    SIGNED,
  );
});
