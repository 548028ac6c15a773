/**
 * Tabs: one of those that share a database leads, and runs the loop; all of them tell each other what they changed.
 *
 * The lead is a Web Lock: it passes on by itself when its tab is closed or crashes. Messages go by BroadcastChannel.
 */

/** What tabs tell each other; all of it is plain data. */
export type Message = { readonly kind: string; readonly [member: string]: unknown };

export interface Tabs {
  /** Wait for the lead, then run `work` until it ends or `signal` says stop; the lead is held meanwhile. */
  lead(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Run `work` alone among tabs, for as long as it takes. `name` tells one thing from another. */
  alone<T>(name: string, work: () => Promise<T>): Promise<T>;
  tell(message: Message): void;
  hear(hear: (message: Message) => void): () => void;
  close(): void;
}

/** What is needed of the Web Locks API. */
export interface Locks {
  request<T>(name: string, options: { readonly signal?: AbortSignal }, work: () => Promise<T>): Promise<T>;
}

/** What is needed of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(kind: "message", hear: (event: MessageEvent) => void): void;
  close(): void;
}

/** The tabs of this origin that share the database `name`; this one alone where the browser has no Web Locks. */
export function browserTabs(name: string): Tabs {
  const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : null;
  return tabsOver(name, "locks" in navigator ? (navigator.locks as Locks) : new MemoryLocks(), channel);
}

/** One tab, or one program, that shares its database with nobody. */
export function loneTabs(): Tabs {
  return tabsOver("lone", new MemoryLocks(), null);
}

export function tabsOver(name: string, locks: Locks, channel: Channel | null): Tabs {
  const hearers = new Set<(message: Message) => void>();
  channel?.addEventListener("message", (event) => {
    for (const hear of hearers) hear(event.data as Message);
  });
  return {
    async lead(work, signal) {
      try {
        await locks.request(`${name}:lead`, { signal }, () => work(signal));
      } catch (error) {
        if (!signal.aborted) throw error; // who stops waiting is told so by an error
      }
    },
    alone: (what, work) => locks.request(`${name}:${what}`, {}, work),
    tell: (message) => channel?.postMessage(message),
    hear(hear) {
      hearers.add(hear);
      return () => hearers.delete(hear);
    },
    close: () => channel?.close(),
  };
}

/** Web Locks of one process: exclusive, first come first served. */
export class MemoryLocks implements Locks {
  private readonly last = new Map<string, Promise<unknown>>();

  request<T>(name: string, options: { readonly signal?: AbortSignal }, work: () => Promise<T>): Promise<T> {
    const mine = (this.last.get(name) ?? Promise.resolve()).then(() => {
      options.signal?.throwIfAborted();
      return work();
    });
    this.last.set(
      name,
      mine.catch(() => undefined),
    );
    return mine;
  }
}
