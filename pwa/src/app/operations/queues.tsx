/** What goes out and what came in: lists that stay fresh, each drawn in all of its states. */
import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { sayWhy } from "../entry/ways";
import { dateTime } from "../format";
import { tell } from "../state/toasts";
import { Blank, Button, Skeleton, Slip } from "../ui/parts";
import type { IconName } from "../ui/icon";
import { words } from "../words";
import { useAsked, type Asked, type Delivery, type InboxEvent } from "./ask";

export interface Props {
  readonly told: (trouble: boolean) => void;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
}

export interface EventPage {
  readonly events: readonly InboxEvent[];
}

const TONES: Readonly<Record<string, string>> = {
  delivered: "do",
  answered: "do",
  done: "do",
  pending: "unsent",
  leased: "unsent",
  dead: "person",
  in_doubt: "person",
  quarantined: "person",
};

export function Deliveries({ told }: Props) {
  const t = words.value;
  const { asked, again } = useAsked<DeliveryPage>("/v1/operations/deliveries?limit=100");
  useTold(asked.value.trouble, told);
  return (
    <Listed
      asked={asked.value}
      rows={asked.value.value?.deliveries}
      again={again}
      empty={[t.operations.emptyOutbox, t.operations.emptyOutboxText, "send"]}
    >
      {(one) => <DeliveryRow key={one.delivery_id} one={one} />}
    </Listed>
  );
}

export function Events({ told }: Props) {
  const t = words.value;
  const { asked, again } = useAsked<EventPage>("/v1/operations/events?limit=100");
  useTold(asked.value.trouble, told);
  return (
    <Listed
      asked={asked.value}
      rows={asked.value.value?.events}
      again={again}
      empty={[t.operations.emptyInbox, t.operations.emptyInboxText, "inbox"]}
    >
      {(one) => <EventRow key={one.receipt_id} one={one} />}
    </Listed>
  );
}

export function DeliveryRow({ one, children }: { readonly one: Delivery; readonly children?: ComponentChildren }) {
  const t = words.value;
  const waits = one.state === "pending" && one.attempts > 0;
  return (
    <li class="op-row">
      <span class="row-main">
        <span class="row-title">
          {one.route}
          <StateTag state={one.state} />
        </span>
        <span class="hint figure">
          {t.review.collections[one.collection] ?? one.collection} {one.record_id.slice(-6)} ·{" "}
          {dateTime(one.created_at, t.locale)} · {t.operations.attempts(one.attempts)}
          {waits && ` · ${t.operations.next(dateTime(one.next_attempt_at, t.locale))}`}
        </span>
        {one.error !== null && one.state !== "delivered" && <span class="hint person-text">{one.error}</span>}
      </span>
      {children !== undefined && <span class="op-do">{children}</span>}
    </li>
  );
}

export function EventRow({ one, children }: { readonly one: InboxEvent; readonly children?: ComponentChildren }) {
  const t = words.value;
  return (
    <li class="op-row">
      <span class="row-main">
        <span class="row-title">
          {one.provider} · {one.event_type}
          <StateTag state={one.state} />
        </span>
        <span class="hint figure">
          {dateTime(one.received_at, t.locale)} · {t.operations.attempts(one.attempts)}
        </span>
        {(one.error ?? one.reason) !== null && one.state !== "done" && (
          <span class="hint person-text">{one.reason ?? one.error}</span>
        )}
      </span>
      {children !== undefined && <span class="op-do">{children}</span>}
    </li>
  );
}

function StateTag({ state }: { readonly state: string }) {
  return <span class={`tag ${TONES[state] ?? ""}`}>{words.value.operations.states[state] ?? state}</span>;
}

interface ListedProps<R> {
  readonly asked: Asked<unknown>;
  readonly rows: readonly R[] | undefined;
  readonly again: () => Promise<void>;
  readonly empty: readonly [title: string, text: string, icon: IconName];
  readonly children: (row: R) => ComponentChildren;
}

/** A list in each of its states: still to come, offline, empty, there. */
export function Listed<R>({ asked, rows, again, empty, children }: ListedProps<R>) {
  const t = words.value;
  if (rows === undefined)
    return asked.trouble === "none" ? (
      <Skeleton rows={6} label={t.state.loading} />
    ) : (
      <Trouble kind={asked.trouble} again={again} />
    );
  if (rows.length === 0) return <Blank icon={empty[2]} title={empty[0]} text={empty[1]} />;
  return (
    <Slip>
      <ul class="rows">{rows.map(children)}</ul>
    </Slip>
  );
}

export function Trouble({
  kind,
  again,
}: {
  readonly kind: "none" | "offline" | "refused";
  readonly again: () => Promise<void>;
}) {
  const t = words.value;
  const [icon, title, text] =
    kind === "refused"
      ? (["lock", t.state.errorTitle, t.operations.ownerOnly] as const)
      : (["offline", t.state.offlineTitle, t.state.offlineText] as const);
  return (
    <Blank icon={icon} title={title} text={text} tone="trouble">
      <Button icon="refresh" onClick={() => void again()}>
        {t.common.retry}
      </Button>
    </Blank>
  );
}

export function useTold(trouble: Asked<unknown>["trouble"], told: (trouble: boolean) => void): void {
  useEffect(() => told(trouble !== "none"), [trouble]);
}

/** Do something, say what came of it, and look again. */
export async function acted(work: () => Promise<string>, again: () => Promise<void>): Promise<void> {
  try {
    tell(await work());
  } catch (error) {
    tell(sayWhy(error), { kind: "trouble" });
  }
  await again();
}
