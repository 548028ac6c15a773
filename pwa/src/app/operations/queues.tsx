/** What goes out, what came in, and what of both is stuck: lists that stay fresh, with the way back for each row. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { sayWhy } from "../entry/ways";
import { dateTime } from "../format";
import { tell } from "../state/toasts";
import { Blank, Button, Skeleton, Slip } from "../ui/parts";
import type { IconName } from "../ui/icon";
import { words } from "../words";
import { change, useAsked, type Asked, type Delivery, type InboxEvent } from "./ask";

interface Props {
  readonly told: (trouble: boolean) => void;
}

interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
}

interface EventPage {
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

/** Dead letters of both queues. */
export function Stuck({ told }: Props) {
  const t = words.value;
  const dead = useAsked<DeliveryPage>("/v1/operations/deliveries?state=dead&limit=100");
  const doubt = useAsked<DeliveryPage>("/v1/operations/deliveries?state=in_doubt&limit=100");
  const events = useAsked<EventPage>("/v1/operations/events?state=dead&limit=100");
  const apart = useAsked<EventPage>("/v1/operations/events?state=quarantined&limit=100");
  const trouble = dead.asked.value.trouble;
  useTold(trouble, told);
  const deliveries = [...(dead.asked.value.value?.deliveries ?? []), ...(doubt.asked.value.value?.deliveries ?? [])];
  const received = [...(events.asked.value.value?.events ?? []), ...(apart.asked.value.value?.events ?? [])];
  const again = async () => {
    await Promise.all([dead.again(), doubt.again(), events.again(), apart.again()]);
  };
  if (dead.asked.value.value === undefined) {
    return trouble === "none" ? (
      <Skeleton rows={6} label={t.state.loading} />
    ) : (
      <Trouble kind={trouble} again={again} />
    );
  }
  if (deliveries.length + received.length === 0)
    return <Blank icon="sent" title={t.operations.emptyDead} text={t.operations.emptyDeadText} />;
  return (
    <div class="columns stuck">
      {deliveries.length > 0 && <StuckDeliveries all={deliveries} again={again} />}
      {received.length > 0 && <StuckEvents all={received} again={again} />}
    </div>
  );
}

function StuckDeliveries({ all, again }: { readonly all: readonly Delivery[]; readonly again: () => Promise<void> }) {
  const t = words.value;
  const doubtful = useSignal<readonly string[] | null>(null);
  const redrive = (ids: readonly string[] | null, inDoubt: boolean) =>
    acted(async () => {
      const body = { ...(ids === null ? {} : { ids }), ...(inDoubt ? { in_doubt: true } : {}) };
      return t.operations.redriven((await change<{ readonly count: number }>("deliveries/redrive", body)).count);
    }, again);
  const ask = (one: Delivery) =>
    one.state === "in_doubt" ? (doubtful.value = [one.delivery_id]) : void redrive([one.delivery_id], false);
  return (
    <Slip aria-label={t.operations.outbox}>
      <header class="slip-head">
        <h2>{t.operations.outbox}</h2>
        {all.some((one) => one.state === "dead") && (
          <Button kind="quiet" icon="refresh" onClick={() => void redrive(null, false)}>
            {t.operations.redriveAll}
          </Button>
        )}
      </header>
      {doubtful.value !== null && (
        <div class="note person" role="alert">
          <p>{t.operations.redriveAsk}</p>
          <Button onClick={() => (doubtful.value = null)}>{t.common.no}</Button>
          <Button
            kind="danger"
            onClick={() => {
              const ids = doubtful.value;
              doubtful.value = null;
              void redrive(ids, true);
            }}
          >
            {t.operations.redrive}
          </Button>
        </div>
      )}
      <ul class="rows">
        {all.map((one) => (
          <DeliveryRow key={one.delivery_id} one={one}>
            <Button icon="refresh" onClick={() => ask(one)}>
              {t.operations.redrive}
            </Button>
            {one.holds && (
              <Button
                kind="quiet"
                onClick={() =>
                  void acted(async () => {
                    await change(`deliveries/${one.delivery_id}/let-pass`, null);
                    return t.operations.passed;
                  }, again)
                }
              >
                {t.operations.letPass}
              </Button>
            )}
          </DeliveryRow>
        ))}
      </ul>
    </Slip>
  );
}

function StuckEvents({ all, again }: { readonly all: readonly InboxEvent[]; readonly again: () => Promise<void> }) {
  const t = words.value;
  const replay = (ids: readonly string[] | null) =>
    acted(
      async () =>
        t.operations.replayed(
          (await change<{ readonly count: number }>("events/replay", ids === null ? {} : { ids })).count,
        ),
      again,
    );
  return (
    <Slip aria-label={t.operations.inbox}>
      <header class="slip-head">
        <h2>{t.operations.inbox}</h2>
        <Button kind="quiet" icon="refresh" onClick={() => void replay(null)}>
          {t.operations.replayAll}
        </Button>
      </header>
      <ul class="rows">
        {all.map((one) => (
          <EventRow key={one.receipt_id} one={one}>
            <Button icon="refresh" onClick={() => void replay([one.receipt_id])}>
              {t.operations.replay}
            </Button>
          </EventRow>
        ))}
      </ul>
    </Slip>
  );
}

function DeliveryRow({ one, children }: { readonly one: Delivery; readonly children?: ComponentChildren }) {
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

function EventRow({ one, children }: { readonly one: InboxEvent; readonly children?: ComponentChildren }) {
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
