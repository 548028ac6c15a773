/** The client: the local half, the loop, and what keeps several tabs together, put together behind `SyncClient`. */
import type { Bearer, ClientSettings, SyncClient } from "./door";
import { exportText } from "./entries";
import { SignedOutError } from "./errors";
import type { Collections } from "./generated/collections";
import { Hearers } from "./hearers";
import { Local } from "./local";
import { SyncLoop } from "./loop";
import { optionsOf } from "./options";
import { Pokes } from "./pokes";
import { Queries } from "./queries";
import { REAL, type Runtime } from "./runtime";
import type { Json } from "./shape";
import { loneTabs } from "./tabs";
import { Team } from "./team";
import { Transport } from "./transport";
import type {
  AnyDraft,
  Decision,
  Entry,
  EntryState,
  Events,
  LiveQuery,
  Made,
  Moment,
  Shop,
  Status,
  StorageUse,
  Taken,
  Touched,
  Verdict,
  ViewRecord,
} from "./types";

type View = ReadonlyMap<string, ViewRecord>;

/** Open the local database; nothing is sent before the loop is asked. Throws StoreTooNewError, StoreError. */
export async function openClient<S extends Shop = Collections>(settings: ClientSettings): Promise<SyncClient<S>> {
  const client = new OneClient(settings);
  await client.open();
  return client as unknown as SyncClient<S>; // types of records are promised by whoever wrote `S`
}

class OneClient implements SyncClient<Record<string, object>> {
  private readonly local: Local;
  private readonly loop: SyncLoop;
  private readonly queries: Queries;
  private readonly hearers = new Hearers<Events>();
  private readonly team: Team;
  private readonly runtime: Runtime;
  private readonly endings: (() => void)[] = [];
  private readonly closing = new AbortController();
  private differences = 0;

  constructor(settings: ClientSettings) {
    const { url, bearer, store, tabs, runtime, ...some } = settings;
    const options = optionsOf(some);
    this.runtime = runtime ?? REAL;
    this.local = new Local(store, this.runtime, options.schema);
    this.queries = new Queries(this.local);
    const transport = new Transport(url.replace(/\/+$/, ""), this.claiming(bearer), options, this.runtime);
    const watcher = { moment: (moment: Moment) => this.moved(moment), taken: (taken: Taken) => this.took(taken) };
    this.loop = new SyncLoop(this.local, transport, options, this.runtime, watcher);
    const isNews = async (head: string) => head !== (await this.local.meta()).head;
    const pokes = new Pokes(transport, options, this.runtime, { isNews, tell: () => this.loop.wake() });
    this.team = new Team(tabs ?? loneTabs(), this.loop, pokes, {
      changed: (touched) => this.heardOf(touched),
      moved: () => this.queries.moved(),
    });
    this.local.changed = (touched) => this.changed(touched);
    this.local.judged = (verdicts) => this.judged(verdicts);
    this.endings.push(bearer.subscribe(() => this.release()));
  }

  async open(): Promise<void> {
    this.differences = (await this.local.meta()).differences;
  }

  async mutate(...drafts: AnyDraft[]): Promise<Made[]> {
    const made = await this.local.add(drafts);
    this.wake();
    return made;
  }

  sell(fields: object, more: { readonly series?: string; readonly actor?: string } = {}): Promise<Made> {
    const series = more.series ?? String(Reflect.get(fields, "terminal_id"));
    const actor = more.actor === undefined ? {} : { actor: more.actor };
    return this.one({ collection: "sales", op: "create", fields, number: { field: "receipt_no", series }, ...actor });
  }

  create(collection: string, fields: object, more: Partial<AnyDraft> = {}): Promise<Made> {
    return this.one({ ...more, collection, op: "create", fields });
  }

  update(collection: string, recordId: string, fields: object = {}, more: Partial<AnyDraft> = {}): Promise<Made> {
    return this.one({ ...more, collection, op: "update", recordId, fields });
  }

  delete(collection: string, recordId: string): Promise<Made> {
    return this.one({ collection, op: "delete", recordId });
  }

  restore(collection: string, recordId: string): Promise<Made> {
    return this.one({ collection, op: "restore", recordId });
  }

  decide(conflictId: string, decision: Decision, more: { readonly candidate?: string; readonly value?: Json } = {}) {
    return this.update("conflicts", conflictId, { decision, ...more });
  }

  continueSeries(series: string, last: number): Promise<void> {
    return this.local.continueSeries(series, last);
  }

  lastNumber(series: string): Promise<number> {
    return this.local.lastNumber(series);
  }

  records(collection: string): Promise<View> {
    return this.local.records(collection);
  }

  record(collection: string, recordId: string): Promise<ViewRecord | null> {
    return this.local.record(collection, recordId);
  }

  liveRecords(collection: string): LiveQuery<View> {
    return this.queries.records(collection);
  }

  liveRecord(collection: string, recordId: string): LiveQuery<ViewRecord | null> {
    return this.queries.record(collection, recordId);
  }

  liveStatus(): LiveQuery<Status> {
    return this.queries.other("status", () => this.status());
  }

  liveEntries(...states: EntryState[]): LiveQuery<readonly Entry[]> {
    return this.queries.other(`entries:${states.join()}`, () => this.local.entries(states));
  }

  liveConflicts(): LiveQuery<View> {
    return this.queries.other("conflicts", () => this.conflicts());
  }

  entries(...states: EntryState[]): Promise<Entry[]> {
    return this.local.entries(states);
  }

  pending(): Promise<Entry[]> {
    return this.local.entries(["pending"]);
  }

  rejected(): Promise<Entry[]> {
    return this.local.entries(["rejected"]);
  }

  journal(): Promise<Entry[]> {
    return this.local.entries(["settled"]);
  }

  async conflicts(): Promise<View> {
    const all = await this.local.records("conflicts");
    return new Map([...all].filter(([, record]) => isOpen(record)));
  }

  async exportEntries(format: "json" | "csv", ...states: EntryState[]): Promise<string> {
    return exportText(await this.local.entries(states), format);
  }

  async resend(uid: string, fields: object = {}, increments: { readonly [name: string]: string } = {}): Promise<Made> {
    const made = await this.local.resend(uid, fields, increments);
    this.wake();
    return made;
  }

  dismiss(uid: string): Promise<void> {
    return this.local.dismiss(uid);
  }

  async status(): Promise<Status> {
    const { counts, meta } = await this.local.standing();
    const { tooOld, ...standing } = this.team.standing();
    return {
      ...standing,
      ...counts,
      updateNeeded: tooOld,
      differences: meta.differences,
      lastExchangeAt: meta.lastExchangeAt,
      complete: meta.head !== null,
      leads: this.team.leads,
    };
  }

  on<E extends keyof Events>(event: E, hear: (told: Events[E]) => void): () => void {
    return this.hearers.add(event, hear);
  }

  async serverNowMs(): Promise<number> {
    return this.runtime.clockMs() + (await this.local.meta()).offsetMs;
  }

  async storage(): Promise<StorageUse> {
    const manager = storageManager();
    const { usage = null, quota = null } = (await manager?.estimate?.()) ?? {};
    return { usage, quota, persisted: (await manager?.persisted?.()) ?? false };
  }

  async persist(): Promise<boolean> {
    return (await storageManager()?.persist?.()) ?? false;
  }

  start(): () => void {
    const stop = new AbortController();
    this.team.start(stop.signal);
    const ending = () => stop.abort();
    this.endings.push(ending);
    return ending;
  }

  wake(): void {
    this.team.wake();
  }

  syncOnce(): Promise<Taken> {
    return this.loop.syncOnce();
  }

  drain(): Promise<void> {
    return this.loop.drain(this.closing.signal);
  }

  release(): void {
    this.team.release();
  }

  async close(): Promise<void> {
    for (const end of this.endings.splice(0)) end();
    this.closing.abort();
    await this.loop.idle();
    this.team.close();
    await this.local.close();
  }

  private async one(draft: AnyDraft): Promise<Made> {
    return (await this.mutate(draft))[0]!;
  }

  private changed(touched: Touched): void {
    this.heardOf(touched);
    this.team.changed(touched);
  }

  private heardOf(touched: Touched): void {
    this.queries.changed(touched);
    this.hearers.tell("changed", touched);
  }

  private judged(verdicts: readonly Verdict[]): void {
    const told = verdicts.filter((one) => one.status === "rejected" || one.status === "conflict" || one.clamped);
    if (told.length > 0) this.hearers.tell("verdicts", told);
  }

  private moved(moment: Moment): void {
    this.queries.moved();
    this.hearers.tell("moment", moment);
    this.team.moved(moment);
  }

  private took(taken: Taken): void {
    this.hearers.tell("taken", taken);
    this.queries.moved();
    void this.local.meta().then(
      ({ differences }) => {
        if (differences > this.differences) this.hearers.tell("difference", differences);
        this.differences = differences;
      },
      () => undefined,
    );
  }

  /** The bearer, which is asked for only where the queue is its owner's. */
  private claiming(bearer: Bearer): Pick<Bearer, "token" | "renew"> {
    return {
      token: async () => {
        if (bearer.owner === null) throw new SignedOutError("nobody is signed in here: sign in");
        await this.local.claim(bearer.owner);
        return bearer.token();
      },
      renew: (refused) => bearer.renew(refused),
    };
  }
}

/** Open, and not decided here meanwhile. */
function isOpen(record: ViewRecord): boolean {
  const { status, decision } = record.fields;
  return status === "open" && !(record.unsent > 0 && typeof decision === "string");
}

function storageManager(): StorageManager | undefined {
  return typeof navigator === "undefined" ? undefined : navigator.storage;
}
