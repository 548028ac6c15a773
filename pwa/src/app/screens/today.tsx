/** Oggi: a day's receipts, what they make by rate and by payment, and the closing. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Sale, ViewRecord } from "../../client";
import { amount, dayAfter, longDay, money, rate, romeDay, shortDay, time, wireMoney } from "../format";
import { useRecords } from "../state/live";
import { go, hrefOf, route } from "../state/route";
import { theClient } from "../state/shop";
import { tillDay } from "../state/till";
import { tell } from "../state/toasts";
import { totalsOf, type Totals } from "../totals";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Blank, Button, IconButton, Mark, Pair, Skeleton, Slip } from "../ui/parts";
import { words } from "../words";
import { Closings } from "./closing";
import { METHOD_ICONS, methodName } from "./slip";

type Row = ViewRecord<Sale>;
const AT_ONCE = 60;

export function TodayScreen() {
  const t = words.value;
  const sales = useRecords("sales");
  const now = useSignal(romeDay(Date.now()));
  useEffect(
    () =>
      void theClient()
        .serverNowMs()
        .then((ms) => (now.value = romeDay(ms))),
    [],
  );
  const today = tillDay.value.open ?? now.value;
  const wanted = /^\d{4}-\d\d-\d\d$/.test(route.value.rest) ? route.value.rest : today;
  const rows = useMemo(() => rowsOf(sales, wanted), [sales, wanted]);
  const shown = useSignal(AT_ONCE);
  const open = useSignal<string | null>(null);
  if (sales === undefined) return <Skeleton rows={8} label={t.state.loading} />;
  const totals = totalsOf(rows.map((row) => row.fields));
  const opened = rows.find((row) => row.recordId === open.value);
  return (
    <div class="page columns">
      <DayHead day={wanted} today={today} />
      {rows.length === 0 ? (
        <div class="across">
          <Blank icon="printer" title={t.today.emptyTitle} text={t.today.emptyText}>
            <Button icon="cart" kind="do" onClick={() => go("vendita")}>
              {t.today.toSale}
            </Button>
          </Blank>
        </div>
      ) : (
        <>
          <div class="column">
            <Sums totals={totals} />
          </div>
          <div class="column">
            <Slip aria-label={t.today.list}>
              <h2>{t.today.list}</h2>
              <ul class="rows">
                {rows.slice(0, shown.value).map((row) => (
                  <ReceiptRow key={row.recordId} row={row} onOpen={() => (open.value = row.recordId)} />
                ))}
              </ul>
              {rows.length > shown.value && (
                <Button kind="quiet" wide onClick={() => (shown.value += AT_ONCE)}>
                  {t.common.more}
                </Button>
              )}
            </Slip>
          </div>
        </>
      )}
      <div class="across">
        <Closings day={wanted} isOpen={wanted === today} sales={sales} />
      </div>
      {opened !== undefined && <Receipt row={opened} onClose={() => (open.value = null)} />}
    </div>
  );
}

function DayHead({ day, today }: { readonly day: string; readonly today: string }) {
  const t = words.value;
  const move = (to: string) => (to === today ? go("oggi") : go("oggi", to));
  return (
    <header class="page-head">
      <h1>{day === today ? t.today.title : shortDay(day, t.locale)}</h1>
      <span class="hint">{longDay(day, t.locale)}</span>
      <span class="day-keys">
        <IconButton icon="previous" label={t.today.previous} onClick={() => move(dayAfter(day, -1))} />
        <IconButton icon="next" label={t.today.next} disabled={day >= today} onClick={() => move(dayAfter(day, 1))} />
      </span>
      {day !== today && (
        <a class="button plain" href={hrefOf("oggi")}>
          {t.today.now}
        </a>
      )}
    </header>
  );
}

function Sums({ totals }: { readonly totals: Totals }) {
  const t = words.value;
  return (
    <Slip aria-label={t.today.takings}>
      <div class="takings">
        <h2 class="takings-name">{t.today.takings}</h2>
        <strong class="figure">{money(totals.total)}</strong>
        <span class="hint">
          {t.today.receipts(totals.count)}
          {totals.voided > 0 && ` · ${t.today.voidedCount(totals.voided)}`}
        </span>
      </div>
      <SumTables totals={totals} />
    </Slip>
  );
}

/** The two tables of a day or a closing. */
export function SumTables({ totals }: { readonly totals: Pick<Totals, "rates" | "methods"> }) {
  const t = words.value;
  return (
    <>
      <table class="sums">
        <caption>{t.today.byRate}</caption>
        <thead>
          <tr>
            <th scope="col">{t.today.rate}</th>
            <th scope="col">{t.today.gross}</th>
            <th scope="col">{t.today.net}</th>
            <th scope="col">{t.today.vat}</th>
          </tr>
        </thead>
        <tbody>
          {totals.rates.map((one) => (
            <tr key={one.rate}>
              <th scope="row">{rate(one.rate)}</th>
              <td>{amount(one.gross)}</td>
              <td>{amount(one.net)}</td>
              <td>{amount(one.vat)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3 class="over">{t.today.byMethod}</h3>
      {totals.methods.map((one) => (
        <Pair
          key={one.method}
          name={
            <span class="with-icon">
              <Icon name={METHOD_ICONS[one.method] ?? "cash"} />
              {methodName(one.method)}
              {one.count > 0 && <span class="hint">× {one.count}</span>}
            </span>
          }
        >
          {money(one.total)}
        </Pair>
      ))}
    </>
  );
}

function ReceiptRow({ row, onOpen }: { readonly row: Row; readonly onOpen: () => void }) {
  const t = words.value;
  const sale = row.fields;
  const isVoid = sale.status === "voided";
  return (
    <li>
      <button type="button" class={`row${isVoid ? " struck" : ""}`} onClick={onOpen}>
        <Icon name={METHOD_ICONS[sale.payment_method] ?? "cash"} />
        <span class="row-main">
          <span class="row-title figure">
            {t.today.number} {sale.receipt_no}
            {isVoid && <span class="tag">{t.today.voided}</span>}
            {sale.flags.length > 0 && <span class="tag person">{t.today.flagged}</span>}
          </span>
          <span class="hint">
            {time(sale.sold_at, t.locale)} · {sale.terminal_id}
          </span>
        </span>
        <span class="row-sum figure">{wireMoney(sale.total)}</span>
        <Mark unsent={row.unsent} saved={t.common.saved} sent={t.common.sent} bare />
      </button>
    </li>
  );
}

/** One receipt, whole; it can be voided, never changed. */
function Receipt({ row, onClose }: { readonly row: Row; readonly onClose: () => void }) {
  const t = words.value;
  const sale = row.fields;
  const asked = useSignal(false);
  const number = String(sale.receipt_no);
  const doVoid = async () => {
    await theClient().update("sales", row.recordId, { status: "voided" });
    tell(t.today.voidDone(number));
    onClose();
  };
  return (
    <Dialog title={t.sale.done(number)} onClose={onClose}>
      <p class="hint">
        {longDay(sale.business_day, t.locale)}, {time(sale.sold_at, t.locale)} · {sale.terminal_id}
      </p>
      <ul class="slip-lines done">
        {sale.lines.map((line, at) => (
          <li key={at} class="slip-line">
            <span class="slip-line-name">{line.description}</span>
            <span class="slip-line-sum figure">{wireMoney(line.total)}</span>
          </li>
        ))}
      </ul>
      <div class="slip-sum">
        <span>{methodName(sale.payment_method)}</span>
        <strong class="figure">{wireMoney(sale.total)}</strong>
      </div>
      <Mark unsent={row.unsent} saved={t.common.saved} sent={t.common.sent} />
      {sale.flags.length > 0 && (
        <p class="tag person">
          {t.today.flagged}: {sale.flags.join(", ")}
        </p>
      )}
      {sale.status === "voided" && <p class="tag">{t.today.voided}</p>}
      {sale.status !== "voided" && !asked.value && (
        <Button kind="danger" icon="close" onClick={() => (asked.value = true)}>
          {t.today.void}
        </Button>
      )}
      {asked.value && (
        <div role="alert">
          <p>{t.today.voidAsk(number)}</p>
          <div class="dialog-do over">
            <Button onClick={() => (asked.value = false)}>{t.common.no}</Button>
            <Button kind="danger" onClick={() => void doVoid()}>
              {t.today.void}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** A day's receipts, the newest first. */
function rowsOf(sales: ReadonlyMap<string, Row> | undefined, day: string): readonly Row[] {
  const found = [...(sales?.values() ?? [])].filter((row) => row.fields.business_day === day);
  return found.sort((one, other) => (one.fields.sold_at < other.fields.sold_at ? 1 : -1));
}
