/**
 * A session: who is signed in, and how they stay so.
 *
 * 1. An access token lives in memory for minutes. The refresh token is in a cookie that no script reads, or, for a
 *    program that keeps no cookies, beside the session.
 * 2. A refresh spends its token. Which attempt spends it is on disk before it is sent, and the same is sent again until
 *    an answer came: so a lost answer costs nothing, and the server does not take the second try for a thief's.
 *    A browser that is killed forgets its newest cookies, and comes back with the token before. So the first refresh after
 *    a start names the attempt that was answered last: by it the server gives the lost token again.
 * 3. Tabs refresh one at a time and share what they got.
 * 4. Only the server ends a session: `over`. Nothing local is deleted by it, and who was signed in stays known.
 * 5. Signing out without a network ends it here at once, and there as soon as there is one.
 */
import type { PasswordEntry, Session, SetupEntry, Signed } from "./door";
import { AccessError, SignedOutError, TroubleError, type ClientError } from "./errors";
import { Reader, ShapeError } from "./json";
import { databaseKeep, type Keep, type Kept } from "./keep";
import { REAL, randomId, type Runtime } from "./runtime";
import type { Json } from "./shape";
import { loneTabs, type Message, type Tabs } from "./tabs";
import { isSignedOut, reached, readResponse, refusalOf, type Answered } from "./transport";
import { UnexpectedAnswerError } from "./errors";
import { parseProblem } from "./wire";

const EARLY_MS = 30_000; // renewed so long before it ends
const TIMEOUT_MS = 30_000;
const LAST = ""; // no login is empty: the device this browser was last, whoever it was and however they came in
const OVER: ReadonlySet<string> = new Set(["invalid_refresh", "reused_refresh", "unauthenticated", "tenant_gone"]);

export interface SessionSettings {
  readonly url: string;
  /** Whether the refresh token goes into a cookie: true for pages. */
  readonly cookie?: boolean;
  readonly keep?: Keep;
  readonly tabs?: Tabs;
  readonly runtime?: Runtime;
}

interface Access {
  readonly token: string;
  readonly endsMs: number;
}

interface Issued {
  readonly access: Access;
  readonly refreshToken: string | null;
  readonly signed: Signed;
}

/** Read what was kept; nothing is asked of the network. Throws StoreError. */
export async function openSession(settings: SessionSettings): Promise<Session> {
  const keep = settings.keep ?? databaseKeep("rientro-session");
  const session = new OneSession(settings, keep, await keep.read());
  session.finishEnding();
  return session;
}

/** Whose queue it is, as text. */
export function ownerOf(signed: Signed): string {
  return `${signed.tenantId}/${signed.deviceId}/${signed.personId ?? "-"}`;
}

/** The name of the local database of who is signed in: every owner's queue is in one of its own. */
export function databaseName(signed: Signed): string {
  return `rientro/${ownerOf(signed)}`;
}

class OneSession implements Session {
  private access: Access | null = null;
  private refreshing: Promise<string> | null = null;
  private readonly hearers = new Set<() => void>();
  private readonly tabs: Tabs;
  private readonly runtime: Runtime;

  constructor(
    private readonly settings: SessionSettings,
    private readonly keep: Keep,
    private kept: Kept,
  ) {
    this.tabs = settings.tabs ?? loneTabs();
    this.runtime = settings.runtime ?? REAL;
    this.tabs.hear((message) => void this.heard(message));
  }

  get current(): Signed | null {
    return this.kept.signed;
  }

  get over(): boolean {
    return this.kept.over;
  }

  get owner(): string | null {
    return this.kept.signed === null ? null : ownerOf(this.kept.signed);
  }

  subscribe(hear: () => void): () => void {
    this.hearers.add(hear);
    return () => this.hearers.delete(hear);
  }

  async token(): Promise<string> {
    return this.fresh() ?? this.refreshed(null);
  }

  async renew(refused: string): Promise<string> {
    const token = this.fresh();
    return token !== null && token !== refused ? token : this.refreshed(refused);
  }

  async byPassword(entry: PasswordEntry): Promise<Signed> {
    const named = this.kept.devices[entry.login] ?? this.kept.devices[LAST];
    const { deviceName, ...said } = entry;
    const body = { ...said, ...nameOf(deviceName) };
    const path = "/v1/auth/password";
    let signed: Signed;
    try {
      signed = await this.enter(path, named === undefined ? body : { ...body, device_id: named });
    } catch (error) {
      if (named === undefined || !(error instanceof AccessError) || error.reason !== "not_this_device") throw error;
      signed = await this.enter(path, body);
    }
    await this.store({ ...this.kept, devices: { ...this.kept.devices, [entry.login]: signed.deviceId } });
    return signed;
  }

  pair(code: string, deviceName?: string): Promise<Signed> {
    return this.enter("/v1/auth/pair", { code, ...nameOf(deviceName) });
  }

  setUp(entry: SetupEntry): Promise<Signed> {
    const { deviceName, ...said } = entry;
    return this.enter("/v1/auth/setup", { ...said, ...nameOf(deviceName) });
  }

  async enter(path: string, body: { readonly [name: string]: Json }): Promise<Signed> {
    await this.endThere();
    const proof = this.kept.over ? null : this.fresh(); // another person on this very device
    const answered = await this.send("POST", path, { ...body, cookie: this.settings.cookie ?? true }, proof);
    if (answered.status !== 200) throw this.refused(answered);
    const issued = this.issued(answered);
    const devices = { ...this.kept.devices, [LAST]: issued.signed.deviceId };
    await this.store({ ...this.kept, over: false, attempt: null, last: null, ending: false, devices, ...partOf(issued) });
    this.share(issued.access);
    return issued.signed;
  }

  async signOut(): Promise<void> {
    this.access = null;
    await this.store({ ...this.kept, signed: null, over: false, attempt: null, ending: true });
    this.tabs.tell({ kind: "session", access: null });
    await this.endThere().catch(() => undefined); // told later
  }

  async ask<T = Json>(method: string, path: string, body?: Json): Promise<T> {
    const token = await this.token();
    let answered = await this.send(method, path, body, token);
    if (isSignedOut(answered)) answered = await this.send(method, path, body, await this.renew(token));
    if (answered.status >= 300) throw this.refused(answered);
    return parsed(answered) as T;
  }

  /** Tell the server of a sign-out that it does not know yet. */
  finishEnding(): void {
    void this.endThere().catch(() => undefined);
  }

  private fresh(): string | null {
    if (this.access === null || this.kept.signed === null) return null;
    return this.access.endsMs - EARLY_MS > this.runtime.clockMs() ? this.access.token : null;
  }

  private refreshed(refused: string | null): Promise<string> {
    this.refreshing ??= this.tabs.alone("refresh", () => this.refresh(refused)).finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  /** Alone among tabs: what another one got meanwhile is good enough. */
  private async refresh(refused: string | null): Promise<string> {
    const token = this.fresh();
    if (token !== null && token !== refused) return token;
    this.kept = await this.keep.read();
    if (this.kept.signed === null || this.kept.over) throw new SignedOutError("nobody is signed in here: sign in");
    const lost = this.access === null && this.kept.refreshToken === null ? this.kept.last : null;
    const attempt = this.kept.attempt ?? lost ?? randomId(this.runtime);
    await this.store({ ...this.kept, attempt });
    const { refreshToken } = this.kept;
    const body = { attempt, ...(refreshToken === null ? {} : { refresh_token: refreshToken }) };
    const answered = await this.send("POST", "/v1/auth/refresh", body);
    if (answered.status !== 200) throw await this.ended(answered);
    const issued = this.issued(answered);
    await this.store({ ...this.kept, attempt: null, last: attempt, refreshToken: issued.refreshToken });
    this.share(issued.access);
    return issued.access.token;
  }

  /** A refresh was refused: where the server says that the session is over, it is. */
  private async ended(answered: Answered): Promise<ClientError> {
    const error = this.refused(answered);
    if (error instanceof TroubleError || !OVER.has(error.reason ?? "")) return error;
    this.access = null;
    await this.store({ ...this.kept, over: true, attempt: null, refreshToken: null });
    this.tabs.tell({ kind: "session", access: null });
    return new SignedOutError("this sign-in is over: sign in again", { reason: error.reason });
  }

  private async endThere(): Promise<void> {
    if (!this.kept.ending) return;
    const { refreshToken } = this.kept;
    const answered = await this.send(
      "POST",
      "/v1/auth/sign-out",
      refreshToken === null ? {} : { refresh_token: refreshToken },
    );
    if (answered.status >= 500 || answered.status === 429) throw this.refused(answered);
    await this.store({ ...this.kept, ending: false, refreshToken: null });
  }

  private refused(answered: Answered): ClientError {
    const problem = parseProblem(answered.body);
    const error = refusalOf(answered, problem, this.runtime.clockMs());
    if (error instanceof TroubleError || problem.code === null) return error;
    return new AccessError(problem.detail ?? "this was refused", { reason: problem.code });
  }

  private async send(method: string, path: string, body?: Json, token: string | null = null): Promise<Answered> {
    const headers = {
      "X-Rientro": "1", // another site's page cannot say this
      "X-Request-ID": randomId(this.runtime),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
    };
    const init: RequestInit = {
      method,
      headers,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    return readResponse(await reached(() => this.runtime.fetch(this.settings.url + path, init)));
  }

  private issued(answered: Answered): Issued {
    const nowMs = this.runtime.clockMs();
    try {
      const reader = Reader.of(parsed(answered), "answer");
      return {
        access: { token: reader.text("access_token"), endsMs: nowMs + reader.whole("expires_in") * 1000 },
        refreshToken: reader.maybe("refresh_token", reader.text),
        signed: {
          tenantId: reader.text("tenant_id"),
          deviceId: reader.text("device_id"),
          personId: reader.maybe("person_id", reader.text),
          sessionId: reader.maybe("session_id", reader.text),
        },
      };
    } catch (error) {
      if (error instanceof ShapeError) throw new UnexpectedAnswerError(`this sign-in's ${error.message} is missing`);
      throw error;
    }
  }

  private async store(kept: Kept): Promise<void> {
    const before = this.kept;
    await this.keep.write(kept);
    this.kept = kept;
    if (before.signed !== kept.signed || before.over !== kept.over) this.tell();
  }

  private share(access: Access): void {
    this.access = access;
    this.tabs.tell({ kind: "session", access });
    this.tell();
  }

  private async heard(message: Message): Promise<void> {
    if (message.kind !== "session") return;
    this.access = message["access"] as Access | null; // at once: who waits for its turn looks at it next
    this.kept = await this.keep.read().catch(() => this.kept);
    this.tell();
  }

  private tell(): void {
    for (const hear of [...this.hearers]) hear();
  }
}

function parsed(answered: Answered): Json {
  try {
    return answered.body === "" ? null : (JSON.parse(answered.body) as Json);
  } catch {
    throw new UnexpectedAnswerError("this answer is no JSON");
  }
}

function nameOf(deviceName: string | undefined): { readonly device_name?: string } {
  return deviceName === undefined ? {} : { device_name: deviceName };
}

function partOf(issued: Issued): Pick<Kept, "signed" | "refreshToken"> {
  return { signed: issued.signed, refreshToken: issued.refreshToken };
}
