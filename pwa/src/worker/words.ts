/** What pages and their worker say to each other. */
export const SKIP_WAITING = "skip_waiting";
export const SYNC_TAG = "send-queue";
export const SCRIPT = "/sw.js";

/** From a tapped notification: show what is at this path. */
export interface Open {
  readonly kind: "open";
  readonly path: string;
}

export function isOpen(message: unknown): message is Open {
  const said = message as { readonly kind?: unknown; readonly path?: unknown } | null;
  return said?.kind === "open" && typeof said.path === "string";
}
