/** The closing in Oggi: drawn from this till's receipts, stated once, and then compared by the server. */
import { useSignal } from "@preact/signals";
import type { Sale, ViewRecord } from "../../client";
import type { Till } from "../basket";
import { closingOf, unclosedOf, type Drawn } from "../closing";
import { centsOr0, time, wireMoney } from "../format";
import type { Closure, Reconciliation, Span } from "../state/collections";
import { useRecords } from "../state/live";
import { me, theClient } from "../state/shop";
import { keepDay, tillDay, tillNow } from "../state/till";
import { tell } from "../state/toasts";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Button, Mark, Note, Pair, Slip } from "../ui/parts";
import { words, type Words } from "../words";
import { SumTables } from "./today";

interface Props {
  readonly day: string;
  readonly isOpen: boolean;
  readonly sales: ReadonlyMap<string, ViewRecord<Sale>>;
}

export function Closings({ day, isOpen, sales }: Props) {
  const t = words.value;
  const closures = useRecords("closures");
  const checks = useRecords("reconciliations");
  const drawn = useSignal<{ readonly till: Till; readonly closing: Drawn | null; readonly unsent: number } | null>(
    null,
  );
  const draw = async () => {
    const till = await tillNow();
    if (till === null) return;
    const closedTo = Math.max(tillDay.value.closedTo, lastClosed(closures, till.terminalId));
    const mine = unclosedOf(
      [...sales.values()].map((row) => row.fields),
      till.terminalId,
      closedTo,
    );
    const unsent = [...sales.values()].filter(
      (row) => row.unsent > 0 && row.fields.terminal_id === till.terminalId,
    ).length;
    drawn.value = { till, closing: closingOf(mine, till, numberOf(closures, till.terminalId)), unsent };
  };
  const shown = [...(closures?.values() ?? [])].filter((row) => row.fields.business_day === day);
  return (
    <div class="column">
      {shown.map((row) => (
        <Closed key={row.recordId} row={row} check={checkOf(checks, row.recordId)} />
      ))}
      {isOpen && me.value !== null && (
        <Button icon="lock" wide onClick={() => void draw()}>
          {t.today.close}
        </Button>
      )}
      {drawn.value !== null && <Confirm {...drawn.value} onClose={() => (drawn.value = null)} />}
    </div>
  );
}

function Confirm({
  till,
  closing,
  unsent,
  onClose,
}: {
  readonly till: Till;
  readonly closing: Drawn | null;
  readonly unsent: number;
  readonly onClose: () => void;
}) {
  const t = words.value;
  const busy = useSignal(false);
  const close = async () => {
    if (closing === null || busy.value) return;
    busy.value = true;
    const closed_at = new Date(await theClient().serverNowMs()).toISOString();
    await theClient().create("closures", { ...closing.fields, closed_at });
    keepDay({ open: null, closedTo: closing.last, closings: tillDay.value.closings + 1 });
    tell(t.today.closed);
    onClose();
  };
  if (closing === null) {
    return (
      <Dialog title={t.today.closeTitle} onClose={onClose}>
        <p>{t.today.closeNothing}</p>
      </Dialog>
    );
  }
  const { fields } = closing;
  return (
    <Dialog title={t.today.closeTitle} onClose={onClose}>
      <p class="hint">{t.today.closeText}</p>
      <Pair name={till.terminalId}>{t.today.fromTo(String(closing.first), String(closing.last))}</Pair>
      <Pair name={t.today.receipts(fields.count)}>
        {fields.voided.length > 0 && t.today.voidedCount(fields.voided.length)}
      </Pair>
      <SumTables totals={sumsOf(fields)} />
      <Pair strong name={t.common.total}>
        {wireMoney(fields.total)}
      </Pair>
      {unsent > 0 && <Note text={t.today.closeUnsent(unsent)} />}
      <Button kind="do" wide icon="lock" busy={busy.value} onClick={() => void close()}>
        {t.today.close}
      </Button>
    </Dialog>
  );
}

function Closed({
  row,
  check,
}: {
  readonly row: ViewRecord<Closure>;
  readonly check: ViewRecord<Reconciliation> | undefined;
}) {
  const t = words.value;
  const closure = row.fields;
  const title = closure.number === null ? t.today.closeTitle : t.today.closing(String(closure.number));
  return (
    <Slip aria-label={`${title}, ${closure.terminal_id}`}>
      <header class="slip-head">
        <h2>{title}</h2>
        <Mark unsent={row.unsent} saved={t.common.saved} sent={t.common.sent} />
      </header>
      <Pair name={closure.terminal_id}>{t.today.closedAt(time(closure.closed_at, t.locale))}</Pair>
      {closure.first_receipt !== null && (
        <Pair name={t.today.receipts(closure.count)}>
          {t.today.fromTo(String(closure.first_receipt), String(closure.last_receipt))}
        </Pair>
      )}
      <Pair strong name={t.common.total}>
        {wireMoney(closure.total)}
      </Pair>
      <Check check={check?.fields} id={check?.recordId} />
    </Slip>
  );
}

/** What the server found; in words, and by a sign. */
export function Check({ check, id }: { readonly check: Reconciliation | undefined; readonly id: string | undefined }) {
  const t = words.value;
  if (check === undefined)
    return (
      <p class="hint with-icon">
        <Icon name="wait" size={16} />
        {t.today.reconciling}
      </p>
    );
  if (check.status === "closed")
    return (
      <p class="tag do">
        <Icon name="sent" size={16} />
        {t.today.reconciled}
      </p>
    );
  return (
    <div class="check">
      {findingsOf(check, t).map((line) => (
        <p key={line} class="with-icon person-text">
          <Icon name="alert" size={16} />
          {line}
        </p>
      ))}
      {check.accepted && <p class="tag">{t.today.accepted}</p>}
      {!check.accepted && id !== undefined && me.value?.role !== "terminal" && (
        <Button onClick={() => void theClient().update("reconciliations", id, { accepted: true })}>
          {t.today.accept}
        </Button>
      )}
    </div>
  );
}

function findingsOf(check: Reconciliation, t: Words): readonly string[] {
  const spans = (list: readonly Span[]) =>
    list.map(({ first, last }) => (first === last ? String(first) : `${first}–${last}`)).join(", ");
  const found: string[] = [];
  if (check.missing.length > 0) found.push(`${t.today.missing}: ${spans(check.missing)}`);
  if (check.doubles.length > 0) found.push(`${t.today.doubles}: ${check.doubles.join(", ")}`);
  if (check.elsewhere.length > 0) found.push(`${t.today.elsewhere}: ${check.elsewhere.join(", ")}`);
  if (check.unvoided.length > 0) found.push(`${t.today.unvoided}: ${check.unvoided.join(", ")}`);
  for (const one of check.differences) {
    const what = one.key == null ? t.common.total : one.what === "rate" ? `${t.today.rate} ${one.key}` : one.key;
    found.push(t.today.difference(what, wireMoney(one.expected), wireMoney(one.arrived)));
  }
  return found;
}

function sumsOf(fields: Drawn["fields"]) {
  const rates = fields.vat.map((one) => ({
    rate: one.rate,
    gross: centsOr0(one.gross),
    net: centsOr0(one.net),
    vat: centsOr0(one.vat),
  }));
  return {
    rates,
    methods: fields.payments.map((one) => ({ method: one.method, total: centsOr0(one.total), count: 0 })),
  };
}

type Closures = ReadonlyMap<string, ViewRecord<Closure>> | undefined;

function mineOf(closures: Closures, terminalId: string): readonly Closure[] {
  return [...(closures?.values() ?? [])]
    .map((row) => row.fields)
    .filter((one) => one.terminal_id === terminalId && one.status !== "voided");
}

function lastClosed(closures: Closures, terminalId: string): number {
  return Math.max(0, ...mineOf(closures, terminalId).map((one) => one.last_receipt ?? 0));
}

function numberOf(closures: Closures, terminalId: string): number {
  return Math.max(tillDay.value.closings, 0, ...mineOf(closures, terminalId).map((one) => one.number ?? 0)) + 1;
}

function checkOf(checks: ReadonlyMap<string, ViewRecord<Reconciliation>> | undefined, closureId: string) {
  return [...(checks?.values() ?? [])].find((row) => row.fields.closure_id === closureId);
}
