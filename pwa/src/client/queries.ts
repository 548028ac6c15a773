/**
 * Live queries: read once, kept in memory, told again when it changed. A collection's records are read whole the first
 * time; after that only those a change touched are read, so that a sale with ten thousand pending costs one record.
 */
import type { Local } from "./local";
import type { LiveQuery, Touched, ViewRecord } from "./types";

/** A live query whose reading is kept fresh by `refresh`, one at a time; several calls meanwhile become one. */
export class Live<T> implements LiveQuery<T> {
  value: T | undefined = undefined;
  private readonly hearers = new Set<(value: T) => void>();
  private running: Promise<T> | null = null;
  private again = false;

  constructor(
    private readonly read: (before: T | undefined) => Promise<T>,
    private readonly idle: () => void = () => undefined,
  ) {}

  subscribe(hear: (value: T) => void): () => void {
    this.hearers.add(hear);
    if (this.value !== undefined) hear(this.value);
    else void this.refresh().catch(() => undefined); // the next change tries again
    return () => {
      this.hearers.delete(hear);
      if (this.hearers.size === 0) this.idle();
    };
  }

  /** Whether somebody has read it, or is about to. */
  get isUsed(): boolean {
    return this.value !== undefined || this.running !== null;
  }

  get(): Promise<T> {
    return this.running ?? this.refresh();
  }

  /** Read anew, and tell. */
  refresh(): Promise<T> {
    if (this.running !== null) this.again = true;
    this.running ??= this.work().finally(() => (this.running = null));
    return this.running;
  }

  private async work(): Promise<T> {
    let value: T;
    do {
      this.again = false;
      value = await this.read(this.value);
    } while (this.again);
    if (value !== this.value) {
      this.value = value;
      for (const hear of this.hearers) hear(value);
    }
    return value;
  }
}

/** Live queries over one local database, each made once. */
export class Queries {
  private readonly collections = new Map<string, CollectionQuery>();
  private readonly others = new Map<string, Live<unknown>>();

  constructor(private readonly local: Local) {}

  records(collection: string): LiveQuery<ReadonlyMap<string, ViewRecord>> {
    const query = this.collections.get(collection) ?? new CollectionQuery(this.local, collection);
    this.collections.set(collection, query);
    return query.live;
  }

  record(collection: string, recordId: string): LiveQuery<ViewRecord | null> {
    return this.other(`${collection}/${recordId}`, () => this.local.record(collection, recordId));
  }

  /** Anything else that is read anew after every change. */
  other<T>(name: string, read: () => Promise<T>): LiveQuery<T> {
    const known = this.others.get(name) as Live<T> | undefined;
    if (known !== undefined) return known;
    const query = new Live(read, () => this.others.delete(name));
    this.others.set(name, query as Live<unknown>);
    return query;
  }

  /** Something changed: read what may be another now. */
  changed(touched: Touched): void {
    for (const query of this.collections.values()) query.changed(touched);
    for (const [name, query] of this.others) if (concerns(name, touched)) void query.refresh().catch(() => undefined);
  }

  /** How the loop stands changed, and nothing else. */
  moved(): void {
    void this.others
      .get("status")
      ?.refresh()
      .catch(() => undefined);
  }
}

class CollectionQuery {
  readonly live: Live<ReadonlyMap<string, ViewRecord>>;
  private stale: Set<string> | "all" = "all";

  constructor(
    private readonly local: Local,
    private readonly collection: string,
  ) {
    this.live = new Live((before) => this.read(before));
  }

  changed(touched: Touched): void {
    const ids = touched === "all" ? "all" : touched.get(this.collection);
    if (ids === undefined) return;
    if (ids === "all" || this.stale === "all") this.stale = "all";
    else for (const id of ids) this.stale.add(id);
    if (this.live.isUsed) void this.live.refresh().catch(() => undefined);
  }

  private async read(before: ReadonlyMap<string, ViewRecord> | undefined) {
    const stale = this.stale;
    this.stale = new Set();
    try {
      if (before === undefined || stale === "all") return await this.local.records(this.collection);
      return stale.size === 0 ? before : await this.patched(before, [...stale]);
    } catch (error) {
      this.stale = "all";
      throw error;
    }
  }

  private async patched(before: ReadonlyMap<string, ViewRecord>, ids: readonly string[]) {
    const records = await this.local.some(this.collection, ids);
    const patched = new Map(before);
    for (const [at, id] of ids.entries()) {
      const record = records[at];
      if (record === null || record === undefined || record.deleted) patched.delete(id);
      else patched.set(id, record);
    }
    return patched;
  }
}

/** Whether a query of that name may read otherwise now: one record's is asked for its record alone. */
function concerns(name: string, touched: Touched): boolean {
  const [collection = "", recordId] = name.split("/");
  return recordId === undefined || touched === "all" || touched.get(collection)?.has(recordId) === true;
}
