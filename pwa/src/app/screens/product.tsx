/** A product's card. Stock is moved, never set: it follows the sales. */
import { useSignal } from "@preact/signals";
import { LocalError, type Product, type ViewRecord } from "../../client";
import { decimal, typedCents, typedDecimal } from "../format";
import { moneyText } from "../../client";
import { go } from "../state/route";
import { mayEdit, theClient } from "../state/shop";
import { tell } from "../state/toasts";
import { Button, Field, Mark, Pair, Slip } from "../ui/parts";
import { words } from "../words";
import { changes, orNull } from "./form";
import { DeleteKey } from "./remove";

type Faults = Partial<Record<"name" | "price" | "rate" | "move", string>>;

export function ProductForm({ row }: { readonly row: ViewRecord<Product> | null }) {
  const t = words.value;
  const product = row?.fields;
  const text = {
    name: useSignal(product?.name ?? ""),
    price: useSignal(product === undefined ? "" : product.price.replace(".", ",")),
    rate: useSignal(product === undefined ? "22" : decimal(product.vat_rate)),
    category: useSignal(product?.category ?? ""),
    barcode: useSignal(product?.barcode ?? ""),
    move: useSignal(""),
  };
  const active = useSignal(product?.active ?? true);
  const faults = useSignal<Faults>({});
  const readonly = !mayEdit();
  const save = async (event: Event) => {
    event.preventDefault();
    const read = readForm(text, active.value);
    faults.value = read.faults;
    if (read.fields === null) return;
    const increments = read.move === null ? {} : { increments: { stock: read.move } };
    try {
      if (row === null) {
        const made = await theClient().create("products", changes(null, read.fields), increments);
        go("rubrica", `prodotti/${made.recordId}`);
      } else {
        const { name, price, vat_rate, category, barcode, active: sold } = row.fields;
        const changed = changes({ name, price, vat_rate, category, barcode, active: sold }, read.fields);
        // price and rate are one unit: they are decided together
        const pricing =
          changed.price === undefined && changed.vat_rate === undefined
            ? {}
            : { price: read.fields.price, vat_rate: read.fields.vat_rate };
        if (Object.keys(changed).length > 0 || read.move !== null) {
          await theClient().update("products", row.recordId, { ...changed, ...pricing }, increments);
        }
        text.move.value = "";
      }
      tell(t.archive.saved);
    } catch (error) {
      if (!(error instanceof LocalError)) throw error;
      tell(t.sale.failed, { kind: "trouble" });
    }
  };
  return (
    <Slip>
      <form class="form" onSubmit={(event) => void save(event)}>
        <header class="slip-head">
          <h2>{row?.fields.name ?? t.archive.newProduct}</h2>
          {row !== null && <Mark unsent={row.unsent} saved={t.common.saved} sent={t.common.sent} />}
        </header>
        <Field
          label={t.archive.name}
          required
          maxlength={200}
          autocomplete="off"
          readonly={readonly}
          fault={faults.value.name}
          value={text.name.value}
          onText={(said) => (text.name.value = said)}
        />
        <div class="two">
          <Field
            label={`${t.archive.price} (€)`}
            required
            inputmode="decimal"
            placeholder="0,00"
            autocomplete="off"
            readonly={readonly}
            fault={faults.value.price}
            value={text.price.value}
            onText={(said) => (text.price.value = said)}
          />
          <Field
            label={`${t.archive.rate} (%)`}
            required
            inputmode="decimal"
            autocomplete="off"
            readonly={readonly}
            fault={faults.value.rate}
            value={text.rate.value}
            onText={(said) => (text.rate.value = said)}
          />
        </div>
        <Field
          label={t.archive.category}
          maxlength={100}
          autocomplete="off"
          readonly={readonly}
          value={text.category.value}
          onText={(said) => (text.category.value = said)}
        />
        <Field
          label={t.archive.barcode}
          maxlength={64}
          inputmode="numeric"
          autocomplete="off"
          readonly={readonly}
          value={text.barcode.value}
          onText={(said) => (text.barcode.value = said)}
        />
        {row !== null && <Pair name={t.archive.stock}>{decimal(row.fields.stock)}</Pair>}
        {!readonly && (
          <Field
            label={t.archive.stockMove}
            hint={t.archive.stockHint}
            inputmode="text"
            autocomplete="off"
            fault={faults.value.move}
            value={text.move.value}
            onText={(said) => (text.move.value = said)}
          />
        )}
        <label class="check-line">
          <input
            type="checkbox"
            checked={active.value}
            disabled={readonly}
            onChange={(event) => (active.value = event.currentTarget.checked)}
          />
          {t.archive.active}
        </label>
        {readonly ? (
          <p class="hint">{t.archive.readOnly}</p>
        ) : (
          <Button kind="do" wide type="submit">
            {t.common.save}
          </Button>
        )}
      </form>
      {row !== null && !readonly && (
        <DeleteKey collection="products" id={row.recordId} name={row.fields.name} back="prodotti" />
      )}
    </Slip>
  );
}

type Texts = Readonly<Record<"name" | "price" | "rate" | "category" | "barcode" | "move", { readonly value: string }>>;

function readForm(text: Texts, active: boolean) {
  const t = words.value.archive;
  const cents = typedCents(text.price.value);
  const vat_rate = typedDecimal(text.rate.value, 2);
  const move = text.move.value.trim() === "" ? null : typedDecimal(text.move.value, 3);
  const faults: Faults = {
    ...(text.name.value.trim() === "" ? { name: t.badName } : {}),
    ...(cents === null || cents < 0 ? { price: t.badAmount } : {}),
    ...(vat_rate === null || vat_rate.startsWith("-") || Number(vat_rate) > 100 ? { rate: t.badRate } : {}),
    ...(text.move.value.trim() !== "" && move === null ? { move: t.badQuantity } : {}),
  };
  if (Object.keys(faults).length > 0 || cents === null || vat_rate === null)
    return { faults, fields: null, move: null };
  const fields = {
    name: text.name.value.trim(),
    price: moneyText(cents),
    vat_rate,
    category: orNull(text.category.value),
    barcode: orNull(text.barcode.value),
    active,
  };
  return { faults, fields, move };
}
