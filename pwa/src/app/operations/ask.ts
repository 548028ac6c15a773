/** What the owner's part asks the server, and how it is kept fresh while somebody looks. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { AccessError, ClientError } from "../../client";
import { theSession } from "../state/shop";

export interface Delivery {
  readonly delivery_id: string;
  readonly state: string;
  readonly route: string;
  readonly collection: string;
  readonly record_id: string;
  readonly attempts: number;
  readonly next_attempt_at: string;
  readonly error_class: string | null;
  readonly error: string | null;
  readonly created_at: string;
  readonly settled_at: string | null;
  readonly holds: boolean;
}

export interface InboxEvent {
  readonly receipt_id: string;
  readonly state: string;
  readonly provider: string;
  readonly event_type: string;
  readonly attempts: number;
  readonly error: string | null;
  readonly reason: string | null;
  readonly received_at: string;
}

export interface Depth {
  readonly waiting: readonly number[];
  readonly oldest_s: readonly number[];
}

export interface Depths {
  readonly at: readonly string[];
  readonly outbox: Depth;
  readonly inbox: Depth;
}

export interface QueueHealth {
  readonly waiting: number;
  readonly oldest_s: number;
  readonly dead: number;
  readonly in_doubt?: number;
  readonly quarantined?: number;
}

export interface Account {
  readonly endpoint_id: string;
  readonly status: string;
  readonly last_success_at: string | null;
  readonly last_webhook_at: string | null;
  readonly last_failure_at: string | null;
  readonly last_error: string | null;
  readonly breaker: string;
  readonly polls_failed_in_a_row: number;
  readonly outbox: QueueHealth;
  readonly inbox: QueueHealth;
  readonly webhooks_refused_today: number | null;
}

export interface Integration {
  readonly name: string;
  readonly status: string;
  readonly accounts: readonly Account[];
}

export interface Health {
  readonly status: string;
  readonly integrations: readonly Integration[];
}

/** What was asked: nothing yet, an answer, or trouble; an answer stays while the next one fails. */
export interface Asked<T> {
  readonly value: T | undefined;
  readonly trouble: "none" | "offline" | "refused";
}

const EVERY_MS = 5_000;

/** Ask now and again while it is on the screen and the screen is looked at; `again` asks at once. */
export function useAsked<T>(path: string): { readonly asked: Signal<Asked<T>>; readonly again: () => Promise<void> } {
  const asked = useSignal<Asked<T>>({ value: undefined, trouble: "none" });
  const again = async () => {
    try {
      asked.value = { value: (await theSession().ask<unknown>("GET", path)) as T, trouble: "none" };
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      asked.value = { value: asked.value.value, trouble: error instanceof AccessError ? "refused" : "offline" };
    }
  };
  useEffect(() => {
    asked.value = { value: undefined, trouble: "none" };
    let ended = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      if (document.visibilityState === "visible") await again();
      if (!ended) timer = setTimeout(() => void round(), EVERY_MS);
    };
    void round();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [path]);
  return { asked, again };
}

/** Change something. Throws ClientError. */
export function change<T>(
  path: string,
  body: { readonly ids?: readonly string[]; readonly in_doubt?: boolean } | null,
): Promise<T> {
  return theSession().ask<unknown>(
    "POST",
    `/v1/operations/${path}`,
    body === null ? undefined : { ...body },
  ) as Promise<T>;
}
