/** Fatture: suppliers' invoices, the unread ones marked, each readable as a slip. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { ViewRecord } from "../../client";
import { shortDay, wireMoney } from "../format";
import type { AppInvoice } from "../state/collections";
import { useRecords, useStatus } from "../state/live";
import { hrefOf, route } from "../state/route";
import { me, theClient } from "../state/shop";
import { Icon } from "../ui/icon";
import { Blank, Button, Choice, Search, Skeleton } from "../ui/parts";
import { words } from "../words";
import { InvoiceSlip } from "./invoice";
import { plain } from "./sale";

type Row = ViewRecord<AppInvoice>;
const AT_ONCE = 60;
const SHOWN = ["all", "unread"] as const;

export function InvoicesScreen() {
  const t = words.value;
  const invoices = useRecords("invoices");
  const status = useStatus();
  const text = useSignal("");
  const only = useSignal<(typeof SHOWN)[number]>("all");
  const count = useSignal(AT_ONCE);
  const all = useMemo(() => [...(invoices?.values() ?? [])].sort(newestFirst), [invoices]);
  const unread = all.filter((row) => !row.fields.read).length;
  const shown = all.filter((row) => (only.value === "all" || !row.fields.read) && fits(row, text.value));
  const id = route.value.rest;
  const open = invoices?.get(id);
  useEffect(() => {
    const mayMark = me.value !== null && me.value.role !== "terminal";
    if (open !== undefined && !open.fields.read && mayMark)
      void theClient().update("invoices", open.recordId, { read: true });
  }, [open?.recordId]);
  if (invoices === undefined) return <Skeleton rows={8} label={t.state.loading} />;
  return (
    <div class={`split${id === "" ? "" : " opened"}`}>
      <h1 class="unseen">{t.invoices.title}</h1>
      <section class="split-list">
        <header class="page-head">
          <p class="page-title" aria-hidden="true">
            {t.invoices.title}
          </p>
          {unread > 0 && <span class="tag do">{t.invoices.unread(unread)}</span>}
        </header>
        {all.length > 0 && (
          <div class="form">
            <Search label={t.invoices.search} text={text.value} onText={(said) => (text.value = said)} />
            <Choice
              label={t.invoices.title}
              of={SHOWN}
              now={only.value}
              name={(one) => (one === "all" ? t.invoices.all : t.invoices.onlyUnread)}
              onChoose={(one) => (only.value = one)}
            />
          </div>
        )}
        {all.length === 0 &&
          (status?.complete === false ? (
            <Blank icon="offline" title={t.state.notYetTitle} text={t.state.notYetText} />
          ) : (
            <Blank icon="invoice" title={t.invoices.emptyTitle} text={t.invoices.emptyText} />
          ))}
        {all.length > 0 && shown.length === 0 && (
          <Blank
            icon="search"
            title={t.state.nothingFound}
            text={text.value === "" ? "" : t.state.nothingFoundText(text.value)}
          />
        )}
        <ul class="rows paper-rows">
          {shown.slice(0, count.value).map((row) => (
            <InvoiceRow key={row.recordId} row={row} isOpen={row.recordId === id} />
          ))}
        </ul>
        {shown.length > count.value && (
          <Button kind="quiet" wide onClick={() => (count.value += AT_ONCE)}>
            {t.common.more}
          </Button>
        )}
      </section>
      <section class="split-open">
        {id !== "" && (
          <a class="button quiet back" href={hrefOf("fatture")}>
            <Icon name="back" />
            {t.invoices.title}
          </a>
        )}
        {open !== undefined && <InvoiceSlip row={open} />}
        {id !== "" && open === undefined && (
          <Blank icon="invoice" title={t.state.nothingFound} text={t.invoices.gone} />
        )}
        {id === "" && all.length > 0 && <Blank icon="invoice" title={t.invoices.choose} text="" />}
      </section>
    </div>
  );
}

function InvoiceRow({ row, isOpen }: { readonly row: Row; readonly isOpen: boolean }) {
  const t = words.value;
  const invoice = row.fields;
  return (
    <li>
      <a
        class={`row${invoice.read ? "" : " unread"}`}
        href={hrefOf("fatture", row.recordId)}
        aria-current={isOpen ? "true" : undefined}
      >
        <span class="row-main">
          <span class="row-title">{invoice.supplier_name}</span>
          <span class="hint">
            {invoice.number} · {shortDay(invoice.issued_on, t.locale)}
          </span>
        </span>
        <span class="row-end">
          <span class="row-sum figure">{wireMoney(invoice.total)}</span>
          {!invoice.read && <span class="tag do">{t.invoices.isNew}</span>}
        </span>
        <Icon name="next" />
      </a>
    </li>
  );
}

function fits(row: Row, text: string): boolean {
  return text === "" || plain(`${row.fields.supplier_name} ${row.fields.number}`).includes(plain(text));
}

function newestFirst(one: Row, other: Row): number {
  return one.fields.received_at < other.fields.received_at ? 1 : -1;
}
