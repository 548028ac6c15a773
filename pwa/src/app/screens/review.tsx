/** Da controllare: what two people decided differently, and what the server did not accept. Nothing here is a modal. */
import { useSignal } from "@preact/signals";
import type { Entry, Json, ViewRecord } from "../../client";
import { dateTime } from "../format";
import { describe, fieldName, valueText } from "../describe";
import { saveFile } from "../files";
import { useLive, useRecords } from "../state/live";
import { theClient } from "../state/shop";
import { isOpenCheck, type AppCollections } from "../state/collections";
import { tell } from "../state/toasts";
import { useToReview } from "../ui/shell";
import { Blank, Button, Field, Pair, Skeleton, Slip } from "../ui/parts";
import { words, type Words } from "../words";
import { Check } from "./closing";

type ConflictRow = ViewRecord<AppCollections["conflicts"]>;

/** A side of a conflict, as the server tells it: a value, who wrote it, on which device, and when. */
interface Side {
  readonly uid?: string;
  readonly value: Json;
  readonly at?: string;
  readonly author?: string;
  readonly device?: { readonly id: string; readonly name: string | null } | null;
}

export function ReviewScreen() {
  const t = words.value;
  const conflicts = useLive(() => theClient().liveConflicts());
  const rejected = useLive(() => theClient().liveEntries("rejected"));
  const toReview = useToReview();
  if (conflicts === undefined || rejected === undefined) return <Skeleton rows={4} label={t.state.loading} />;
  const isEmpty = toReview === 0;
  const exported = async (format: "json" | "csv") =>
    saveFile(`rientro-da-controllare.${format}`, await theClient().exportEntries(format, "rejected"));
  return (
    <div class="page columns">
      <header class="page-head">
        <h1>{t.review.title}</h1>
        {rejected.length > 0 && (
          <>
            <Button kind="quiet" icon="download" onClick={() => void exported("json")}>
              {t.review.exportJson}
            </Button>
            <Button kind="quiet" icon="download" onClick={() => void exported("csv")}>
              {t.review.exportCsv}
            </Button>
          </>
        )}
      </header>
      {isEmpty && (
        <div class="across">
          <Blank icon="sent" title={t.review.emptyTitle} text={t.review.emptyText} />
        </div>
      )}
      {[...conflicts.values()].map((row) => (
        <Conflict key={row.recordId} row={row as ConflictRow} />
      ))}
      {rejected.map((entry) => (
        <Rejected key={entry.uid} entry={entry} />
      ))}
      <OpenChecks />
      <Unreadable />
    </div>
  );
}

function Conflict({ row }: { readonly row: ConflictRow }) {
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

function Rejected({ entry }: { readonly entry: Entry }) {
  const t = words.value;
  const fields = entry.content.fields ?? {};
  const editable = Object.entries(fields).filter(([, value]) => typeof value === "string");
  const typed = useSignal<Readonly<Record<string, string>>>({});
  const code = entry.verdict?.code ?? "";
  const resend = async () => {
    const changed = Object.fromEntries(Object.entries(typed.value).filter(([name, text]) => fields[name] !== text));
    await theClient().resend(entry.uid, changed);
    tell(`${t.review.resent} · ${t.common.saved}`);
  };
  const dismiss = async () => {
    await theClient().dismiss(entry.uid);
    tell(t.review.dismissed);
  };
  return (
    <Slip aria-label={`${t.review.rejected}: ${describe(entry, t)}, ${dateTime(entry.madeAt, t.locale)}`}>
      <h2>{describe(entry, t)}</h2>
      <p class="with-icon person-text">{t.review.codes[code] ?? entry.verdict?.message ?? t.review.rejected}</p>
      <p class="hint">{dateTime(entry.madeAt, t.locale)}</p>
      <details>
        <summary>{t.review.resend}</summary>
        <form
          class="form"
          onSubmit={(event) => {
            event.preventDefault();
            void resend();
          }}
        >
          {editable.map(([name, value]) => (
            <Field
              key={name}
              label={fieldName(name, t)}
              autocomplete="off"
              value={typed.value[name] ?? String(value)}
              onText={(text) => (typed.value = { ...typed.value, [name]: text })}
            />
          ))}
          {Object.entries(fields)
            .filter(([, value]) => typeof value !== "string")
            .map(([name, value]) => (
              <Pair key={name} name={fieldName(name, t)}>
                {valueText(name, value as Json, t)}
              </Pair>
            ))}
          <Button kind="do" icon="send" type="submit">
            {t.review.resend}
          </Button>
        </form>
      </details>
      <div class="row-do">
        <Button onClick={() => void dismiss()}>{t.review.dismiss}</Button>
      </div>
    </Slip>
  );
}

/** Closings that do not add up are for a person, too. */
function OpenChecks() {
  const t = words.value;
  const checks = useRecords("reconciliations");
  const open = [...(checks?.values() ?? [])].filter((row) => isOpenCheck(row.fields));
  return (
    <>
      {open.map((row) => (
        <Slip
          key={row.recordId}
          aria-label={`${t.review.reconciliations}: ${row.fields.terminal_id}, ${row.fields.business_day}`}
        >
          <h2>
            {t.review.reconciliations}: {row.fields.terminal_id}, {row.fields.business_day}
          </h2>
          <Check check={row.fields} id={row.recordId} />
        </Slip>
      ))}
    </>
  );
}

/** Invoices that arrived and could not be read: the file is kept, and whoever runs the server can look at it. */
function Unreadable() {
  const t = words.value;
  const files = useRecords("quarantined");
  const unseen = [...(files?.values() ?? [])].filter((row) => !row.fields.read);
  return (
    <>
      {unseen.map((row) => (
        <Slip key={row.recordId} aria-label={`${t.review.unreadable}: ${row.fields.file_name ?? row.recordId}`}>
          <h2>{row.fields.file_name ?? t.review.unreadable}</h2>
          <p class="hint">{t.review.unreadableText}</p>
          <p class="person-text">{row.fields.reason}</p>
          <p class="hint">{t.review.by(t.review.provider, dateTime(row.fields.received_at, t.locale))}</p>
          <div class="row-do">
            <Button onClick={() => void theClient().update("quarantined", row.recordId, { read: true })}>
              {t.today.accept}
            </Button>
          </div>
        </Slip>
      ))}
    </>
  );
}

/** What a record is called where people know it. */
function useRecordName(collection: string, id: string): string {
  const t = words.value;
  const record = useLive(() => theClient().liveRecord(collection as "products", id), [collection, id]);
  const kind = t.review.collections[collection] ?? collection;
  const name = record?.fields.name;
  return typeof name === "string" ? name : kind;
}
