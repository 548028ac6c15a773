/** Dead letters: what is stuck going out and coming in, and the way back for it. */
import { useSignal } from "@preact/signals";
import { Blank, Button, Skeleton, Slip } from "../ui/parts";
import { words } from "../words";
import { change, useAsked, type Delivery, type InboxEvent } from "./ask";
import {
  DeliveryRow,
  EventRow,
  Trouble,
  acted,
  useTold,
  type DeliveryPage,
  type EventPage,
  type Props,
} from "./queues";

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
