/** Live queries while drawing: a component is drawn anew whenever what it read has changed. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { LiveQuery, Status, ViewRecord } from "../../client";
import type { AppCollections } from "./collections";
import { shop, theClient } from "./shop";

/** The newest reading; undefined before the first. `ask` is asked anew when `by` changes. */
export function useLive<T>(ask: () => LiveQuery<T>, by: readonly unknown[] = []): T | undefined {
  const query = useMemo(ask, [shop.value, ...by]);
  const [read, setRead] = useState<{ readonly value: T | undefined }>({ value: query.value });
  useEffect(() => query.subscribe((value) => setRead({ value })), [query]);
  return read.value;
}

/** A collection's records by id. */
export function useRecords<N extends keyof AppCollections & string>(
  name: N,
): ReadonlyMap<string, ViewRecord<AppCollections[N]>> | undefined {
  return useLive(() => theClient().liveRecords(name), [name]);
}

export function useStatus(): Status | undefined {
  return useLive(() => theClient().liveStatus());
}
