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
