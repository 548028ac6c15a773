/** One open conflict: each value with who wrote it and when, and a key that keeps it; or a third value. */
import { useSignal } from "@preact/signals";
import type { Json, ViewRecord } from "../../client";
import { fieldName, valueText } from "../describe";
import { dateTime } from "../format";
import type { AppCollections } from "../state/collections";
import { useLive } from "../state/live";
import { theClient } from "../state/shop";
import { tell } from "../state/toasts";
import { Button, Field, Pair, Slip } from "../ui/parts";
import { words, type Words } from "../words";

export type ConflictRow = ViewRecord<AppCollections["conflicts"]>;

/** A side of a conflict, as the server tells it: a value, who wrote it, on which device, and when. */
interface Side {
  readonly uid?: string;
  readonly value: Json;
  readonly at?: string;
  readonly author?: string;
  readonly device?: { readonly id: string; readonly name: string | null } | null;
}

export function Conflict({ row }: { readonly row: ConflictRow }) {
  const t = words.value;
  const conflict = row.fields;
  const name = useRecordName(conflict.collection, conflict.record_id);
  const other = useSignal("");
  const current = conflict.current as unknown as Side;
  const candidates = (conflict.candidates as unknown as readonly Side[] | null) ?? [];
  const isPlain = typeof (candidates.at(-1)?.value ?? current.value) === "string";
  const decide = async (decision: "mine" | "theirs" | "value", more: { candidate?: string; value?: Json } = {}) => {
    await theClient().decide(row.recordId, decision, more);
    tell(`${t.review.decided} · ${t.common.saved}`);
  };
  return (
    <Slip aria-label={`${t.review.conflicts}: ${name}, ${fieldName(conflict.field, t)}`}>
      <h2>{name}</h2>
      <p class="hint">{t.review.conflictText(fieldName(conflict.field, t), name)}</p>
      <div class="sides">
        <SideCard title={t.review.theirs} field={conflict.field} side={current} onKeep={() => void decide("theirs")} />
        {candidates.map((side) => (
          <SideCard
            key={side.uid}
            title={t.review.mine}
            field={conflict.field}
            side={side}
            onKeep={() => void decide("mine", side.uid === undefined ? {} : { candidate: side.uid })}
          />
        ))}
      </div>
      {isPlain && (
        <details>
          <summary>{t.review.other}</summary>
          <form
            class="form"
            onSubmit={(event) => {
              event.preventDefault();
              void decide("value", { value: other.value.trim() });
            }}
          >
            <Field
              label={fieldName(conflict.field, t)}
              required
              autocomplete="off"
              value={other.value}
              onText={(text) => (other.value = text)}
            />
            <Button type="submit">{t.review.otherSave}</Button>
          </form>
        </details>
      )}
    </Slip>
  );
}

function SideCard({
  title,
  field,
  side,
  onKeep,
}: {
  readonly title: string;
  readonly field: string;
  readonly side: Side;
  readonly onKeep: () => void;
}) {
  const t = words.value;
  return (
    <div class="side-card">
      <h3>{title}</h3>
      <SideValue field={field} value={side.value} />
      <p class="hint">{whoAndWhen(side, t)}</p>
      <Button kind="do" wide onClick={onKeep}>
        {t.review.keep}
      </Button>
    </div>
  );
}

/** A value; what is decided together is shown part by part. */
function SideValue({ field, value }: { readonly field: string; readonly value: Json }) {
  const t = words.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return <p class="side-value figure">{valueText(field, value, t)}</p>;
  }
  return (
    <div>
      {Object.entries(value as Readonly<Record<string, Json>>).map(([name, part]) => (
        <Pair key={name} strong name={fieldName(name, t)}>
          {valueText(name, part, t)}
        </Pair>
      ))}
    </div>
  );
}

function whoAndWhen(side: Side, t: Words): string {
  const author = side.author ?? "";
  const named =
    side.device?.name ??
    (author.startsWith("provider:")
      ? t.review.provider
      : author.startsWith("system:")
        ? t.review.server
        : t.review.someone);
  return side.at === undefined ? named : t.review.by(named, dateTime(side.at, t.locale));
}

/** What a record is called where people know it. */
function useRecordName(collection: string, id: string): string {
  const t = words.value;
  const record = useLive(() => theClient().liveRecord(collection as "products", id), [collection, id]);
  const kind = t.review.collections[collection] ?? collection;
  const name = record?.fields.name;
  return typeof name === "string" ? name : kind;
}
