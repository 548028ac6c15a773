/** One invoice as a slip: supplier, lines, sums by rate, what is to be paid, attachments. */
import { useSignal } from "@preact/signals";
import type { ViewRecord } from "../../client";
import { centsOr0, dateTime, decimal, longDay, rate, wireMoney } from "../format";
import type { AppInvoice, Attachment } from "../state/collections";
import { go } from "../state/route";
import { me, theClient, theSession } from "../state/shop";
import { tell } from "../state/toasts";
import { Icon } from "../ui/icon";
import { Button, Pair, Slip } from "../ui/parts";
import { words } from "../words";

const CREDIT: ReadonlySet<string> = new Set(["TD04", "TD08"]);

export function InvoiceSlip({ row }: { readonly row: ViewRecord<AppInvoice> }) {
  const t = words.value;
  const invoice = row.fields;
  const title = CREDIT.has(invoice.document_type)
    ? t.invoices.credit(invoice.number)
    : t.invoices.number(invoice.number);
  const markUnread = async () => {
    await theClient().update("invoices", row.recordId, { read: false });
    go("fatture");
  };
  return (
    <Slip aria-label={title}>
      <header class="invoice-head">
        <h2>{invoice.supplier_name}</h2>
        {invoice.supplier_vat !== null && (
          <p class="hint">
            {t.invoices.vatNumber} {invoice.supplier_vat}
          </p>
        )}
        <p>
          {title} · {longDay(invoice.issued_on, t.locale)}
        </p>
      </header>
      <h3 class="unseen">{t.invoices.lines}</h3>
      <ul class="slip-lines done">
        {invoice.lines.map((line) => (
          <li key={line.number} class="slip-line">
            <span class="slip-line-name">{line.description}</span>
            <span class="slip-line-sum figure">{plainMoney(line.total)}</span>
            <span class="slip-line-unit figure">
              {line.quantity == null ? "" : `${decimal(line.quantity)} × ${plainMoney(line.unit_price)} · `}
              {t.today.vat} {rate(line.vat_rate)}
              {line.nature == null ? "" : ` ${line.nature}`}
            </span>
          </li>
        ))}
      </ul>
      <table class="sums">
        <caption>{t.invoices.summary}</caption>
        <thead>
          <tr>
            <th scope="col">{t.today.rate}</th>
            <th scope="col">{t.invoices.taxable}</th>
            <th scope="col">{t.invoices.tax}</th>
          </tr>
        </thead>
        <tbody>
          {invoice.summaries.map((one, at) => (
            <tr key={at}>
              <th scope="row">
                {rate(one.rate)} {one.nature ?? ""}
              </th>
              <td>{wireMoney(one.taxable)}</td>
              <td>{wireMoney(one.tax)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="slip-sum">
        <span>{t.common.total}</span>
        <strong class="figure">{wireMoney(invoice.total)}</strong>
      </div>
      {invoice.payable !== invoice.total && (
        <Pair strong name={t.invoices.payable}>
          {wireMoney(invoice.payable)}
        </Pair>
      )}
      {invoice.total_derived && <p class="hint">{t.invoices.derived}</p>}
      <Payments invoice={invoice} />
      <Attachments id={row.recordId} all={invoice.attachments ?? []} />
      <Pair name={t.invoices.received}>{dateTime(invoice.received_at, t.locale)}</Pair>
      {invoice.sdi_id !== null && <Pair name={t.invoices.sdiId}>{invoice.sdi_id}</Pair>}
      {invoice.read && me.value?.role !== "terminal" && (
        <Button kind="quiet" onClick={() => void markUnread()}>
          {t.invoices.markUnread}
        </Button>
      )}
    </Slip>
  );
}

function Payments({ invoice }: { readonly invoice: AppInvoice }) {
  const t = words.value;
  const all = invoice.payments ?? [];
  if (all.length === 0) return null;
  return (
    <>
      <h3 class="over">{t.invoices.payments}</h3>
      {all.map((one, at) => (
        <Pair key={at} name={one.due_on == null ? (one.method ?? "") : t.invoices.due(longDay(one.due_on, t.locale))}>
          {one.amount == null ? "" : plainMoney(one.amount)}
        </Pair>
      ))}
    </>
  );
}

/** Attachments are fetched when somebody wants them: they are not part of what is kept on this device. */
function Attachments({ id, all }: { readonly id: string; readonly all: readonly Attachment[] }) {
  const t = words.value;
  const busy = useSignal<string | null>(null);
  if (all.length === 0) return null;
  const fetch = async (one: Attachment) => {
    if (one.sha256 == null) return;
    busy.value = one.sha256;
    try {
      await download(id, one);
    } catch {
      tell(t.invoices.fetchFailed, { kind: "trouble" });
    } finally {
      busy.value = null;
    }
  };
  return (
    <>
      <h3 class="over">{t.invoices.attachments}</h3>
      <ul>
        {all.map((one, at) => (
          <li key={at}>
            {one.sha256 == null ? (
              <p class="with-icon hint">
                <Icon name="clip" />
                {one.name}: {t.invoices.damaged}
              </p>
            ) : (
              <Button kind="quiet" icon="clip" busy={busy.value === one.sha256} onClick={() => void fetch(one)}>
                {one.name}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

async function download(id: string, one: Attachment): Promise<void> {
  const token = await theSession().token();
  const answer = await fetch(`/v1/invoices/${id}/attachments/${one.sha256}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  if (!answer.ok) throw new Error("the file did not come");
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = one.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A line's amount: money where it has two places, else the file's own digits. */
function plainMoney(text: string): string {
  return /^-?\d+(\.\d{1,2})?$/.test(text) && centsOr0(text) !== null ? wireMoney(text) : decimal(text);
}
