/** Mutations that the server refused, from every device of the merchant: the owner sends them again or puts them aside. */
import { useSignal } from "@preact/signals";
import type { Json } from "../../client";
import { fieldName, valueText } from "../describe";
import { dateTime } from "../format";
import { theSession } from "../state/shop";
import { Button, Choice, Pair } from "../ui/parts";
import { words } from "../words";
import { useAsked } from "./ask";
import { Listed, acted, useTold } from "./queues";

interface RejectedRow {
  readonly uid: string;
  readonly code: string;
  readonly message: string;
  readonly device_name: string | null;
  readonly received_at: string;
  readonly resolved_at: string | null;
  readonly body: Json;
}

const SHOWN = ["open", "all"] as const;

export function RejectedOfAll({ told }: { readonly told: (trouble: boolean) => void }) {
  const t = words.value;
  const { asked, again } = useAsked<{ readonly rejected: readonly RejectedRow[] }>("/v1/rejected?limit=100");
  const only = useSignal<(typeof SHOWN)[number]>("open");
  useTold(asked.value.trouble, told);
  const rows = asked.value.value?.rejected.filter((one) => only.value === "all" || one.resolved_at === null);
  return (
    <>
      <p class="hint">{t.operations.rejectedTitle}</p>
      <Choice
        label={t.operations.rejectedTitle}
        of={SHOWN}
        now={only.value}
        name={(one) => (one === "all" ? t.invoices.all : t.review.title)}
        onChoose={(one) => (only.value = one)}
      />
      <Listed
        asked={asked.value}
        rows={rows}
        again={again}
        empty={[t.operations.emptyRejected, t.operations.emptyRejectedText, "sent"]}
      >
        {(one) => <Row key={one.uid} one={one} again={again} />}
      </Listed>
    </>
  );
}

function Row({ one, again }: { readonly one: RejectedRow; readonly again: () => Promise<void> }) {
  const t = words.value;
  const body = objectOf(one.body);
  const fields = objectOf(body["fields"] ?? null);
  const collection = String(body["collection"] ?? "");
  const post = (action: string, done: string, said?: Json) =>
    acted(async () => {
      await theSession().ask("POST", `/v1/rejected/${one.uid}/${action}`, said);
      return done;
    }, again);
  return (
    <li class="op-row">
      <span class="row-main">
        <span class="row-title">
          {t.review.collections[collection] ?? collection}
          <span class={`tag ${one.resolved_at === null ? "person" : ""}`}>
            {one.resolved_at === null ? one.code : t.review.decided}
          </span>
        </span>
        <span class="person-text">{t.review.codes[one.code] ?? one.message}</span>
        <span class="hint figure">
          {t.review.by(one.device_name ?? t.review.someone, dateTime(one.received_at, t.locale))}
        </span>
        <details>
          <summary>{t.review.content}</summary>
          {Object.entries(fields).map(([name, value]) => (
            <Pair key={name} name={fieldName(name, t)}>
              {valueText(name, value, t)}
            </Pair>
          ))}
        </details>
      </span>
      {one.resolved_at === null && (
        <span class="op-do">
          <Button icon="send" onClick={() => void post("resend", t.operations.resent, { fields: {} })}>
            {t.operations.resend}
          </Button>
          <Button kind="quiet" onClick={() => void post("dismiss", t.review.dismissed)}>
            {t.operations.dismiss}
          </Button>
        </span>
      )}
    </li>
  );
}

function objectOf(value: Json): Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};
}
