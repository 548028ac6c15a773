/** Vendita: tiles, the slip that grows, one tap to sell, and eight seconds to undo it. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Product, ViewRecord } from "../../client";
import { addFree, addProduct, quantityOf, totalCents } from "../basket";
import { decimal, money, rate, typedCents, wireMoney } from "../format";
import { useRecords, useStatus } from "../state/live";
import { go } from "../state/route";
import { basket, lastSale } from "../state/till";
import { tell } from "../state/toasts";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Blank, Button, Choice, Field, Search } from "../ui/parts";
import { words } from "../words";
import { readSetting, writeSetting } from "../settings";
import { SlipSide } from "./slip";
import { listenToScanner } from "../scanner";

type Row = ViewRecord<Product>;
export const RATES = ["22.00", "10.00", "5.00", "4.00", "0.00"] as const;

export function SaleScreen() {
  const t = words.value;
  const products = useRecords("products");
  const status = useStatus();
  const text = useSignal("");
  const category = useSignal<string | null>(null);
  const sheet = useSignal<"none" | "free" | "slip">("none");
  const sold = useMemo(
    () => [...(products?.values() ?? [])].filter((one) => one.fields.active).sort(byName),
    [products],
  );
  const categories = useMemo(() => [...new Set(sold.flatMap((one) => one.fields.category ?? []))].sort(), [sold]);
  const shown = sold.filter((one) => fits(one, text.value, category.value));
  useEffect(() => listenToScanner((code) => scanned(sold, code)), [sold]);
  const isEmpty = products !== undefined && sold.length === 0;

  return (
    <div class="sale">
      <h1 class="unseen">{t.sale.title}</h1>
      <div class="sale-tools">
        <Search label={t.sale.search} text={text.value} onText={(said) => (text.value = said)} />
        {categories.length > 1 && (
          <div class="chips" role="group" aria-label={t.archive.category}>
            {[null, ...categories].map((one) => (
              <button
                key={one ?? ""}
                type="button"
                class="chip"
                aria-pressed={category.value === one}
                onClick={() => (category.value = one)}
              >
                {one ?? t.sale.all}
              </button>
            ))}
          </div>
        )}
      </div>
      {products === undefined ? (
        <TilesToCome label={t.state.loading} />
      ) : (
        <div class="tiles" data-status={status?.complete === false ? "first" : undefined}>
          {shown.map((one) => (
            <Tile key={one.recordId} row={one} />
          ))}
          {text.value === "" && (
            <button type="button" class="tile free" onClick={() => (sheet.value = "free")}>
              <Icon name="plus" />
              <span class="tile-name">{t.sale.free}</span>
            </button>
          )}
        </div>
      )}
      {isEmpty && text.value === "" && (
        <Blank icon="box" title={t.sale.emptyTitle} text={t.sale.emptyText}>
          <Button icon="book" onClick={() => go("rubrica", "prodotti")}>
            {t.sale.toArchive}
          </Button>
        </Blank>
      )}
      {!isEmpty && products !== undefined && shown.length === 0 && (
        <Blank icon="search" title={t.state.nothingFound} text={t.state.nothingFoundText(text.value)} />
      )}
      <SlipBar onOpen={() => (sheet.value = "slip")} />
      {sheet.value === "free" && <FreeAmount onClose={() => (sheet.value = "none")} />}
      {sheet.value === "slip" && (
        <Dialog title={t.sale.pay} sheet onClose={() => (sheet.value = "none")}>
          <SlipSide onSold={() => (sheet.value = "none")} />
        </Dialog>
      )}
    </div>
  );
}

function Tile({ row }: { readonly row: Row }) {
  const t = words.value;
  const { name, price, category } = row.fields;
  const count = quantityOf(basket.value, row.recordId);
  const label = t.sale.addOne(name, wireMoney(price));
  return (
    <button
      type="button"
      class={`tile${count > 0 ? " chosen" : ""}`}
      aria-label={count > 0 ? `${label}, ${t.sale.inSlip(decimal(String(count)))}` : label}
      data-category={category ?? ""}
      onClick={() => put(row)}
    >
      <span class="tile-name">{name}</span>
      <span class="tile-price figure">{wireMoney(price)}</span>
      {count > 0 && <span class="tile-count figure">{decimal(String(count))}</span>}
    </button>
  );
}

/** On a phone: the slip's head at the bottom, with the sum; it is pulled up to be paid. */
function SlipBar({ onOpen }: { readonly onOpen: () => void }) {
  const t = words.value;
  const lines = basket.value.lines;
  if (lines.length === 0) return null;
  const count = lines.reduce((sum, line) => sum + Number(line.quantity), 0);
  return (
    <button type="button" class="slip-bar" onClick={onOpen} aria-label={t.sale.show}>
      <Icon name="printer" />
      <span class="slip-bar-count">{t.sale.lines(count)}</span>
      <span class="slip-bar-total figure">{money(totalCents(basket.value))}</span>
      <span class="slip-bar-pay">{t.sale.pay}</span>
    </button>
  );
}

function FreeAmount({ onClose }: { readonly onClose: () => void }) {
  const t = words.value;
  const typed = useSignal("");
  const name = useSignal("");
  const kept = RATES.find((one) => one === readSetting("rate"));
  const chosen = useSignal<(typeof RATES)[number]>(kept ?? "22.00");
  const fault = useSignal<string | undefined>(undefined);
  const add = (event: Event) => {
    event.preventDefault();
    const cents = typedCents(typed.value);
    if (cents === null || cents <= 0) {
      fault.value = t.archive.badAmount;
      return;
    }
    writeSetting("rate", chosen.value);
    lastSale.value = null;
    basket.value = addFree(
      basket.value,
      crypto.randomUUID(),
      name.value.trim() || t.sale.freeName,
      cents,
      chosen.value,
    );
    onClose();
  };
  return (
    <Dialog title={t.sale.free} onClose={onClose}>
      <form class="form" onSubmit={add}>
        <Field
          label={t.sale.amount}
          inputmode="decimal"
          autocomplete="off"
          placeholder="0,00"
          value={typed.value}
          fault={fault.value}
          autofocus
          onText={(text) => (typed.value = text)}
        />
        <Field
          label={`${t.archive.name} (${t.common.optional})`}
          autocomplete="off"
          maxlength={200}
          value={name.value}
          onText={(text) => (name.value = text)}
        />
        <Choice
          label={t.sale.rate}
          of={RATES}
          now={chosen.value}
          name={rate}
          onChoose={(one) => (chosen.value = one)}
        />
        <Button kind="do" wide type="submit">
          {t.sale.add}
        </Button>
      </form>
    </Dialog>
  );
}

function TilesToCome({ label }: { readonly label: string }) {
  return (
    <div class="tiles" role="status" aria-label={label}>
      {Array.from({ length: 12 }, (_, at) => (
        <div key={at} class="tile to-come" />
      ))}
    </div>
  );
}

function put(row: Row): void {
  lastSale.value = null;
  basket.value = addProduct(basket.value, row.recordId, row.fields);
}

function scanned(sold: readonly Row[], code: string): void {
  const found = sold.find((one) => one.fields.barcode === code);
  if (found === undefined) return tell(words.value.sale.unknownCode(code), { kind: "trouble" });
  put(found);
  tell(words.value.sale.added(found.fields.name));
}

function fits(row: Row, text: string, category: string | null): boolean {
  const { name, barcode } = row.fields;
  if (text !== "") return plain(name).includes(plain(text)) || barcode === text.trim();
  return category === null || row.fields.category === category;
}

/** Without accents and capitals, as people search. */
export function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function byName(one: Row, other: Row): number {
  const [left, right] = [one.fields, other.fields];
  return (left.category ?? "").localeCompare(right.category ?? "") || left.name.localeCompare(right.name);
}
