/** A customer's card. What invoicing needs is one unit: it is decided together. */
import { useSignal } from "@preact/signals";
import { LocalError, type Customer, type ViewRecord } from "../../client";
import { go } from "../state/route";
import { mayEdit, theClient } from "../state/shop";
import { tell } from "../state/toasts";
import { Button, Field, Mark, Slip } from "../ui/parts";
import { words } from "../words";
import { changes, fitsPartitaIva, orNull } from "./form";
import { DeleteKey } from "./remove";

const NAMES = ["name", "email", "phone", "vat_number", "tax_code", "sdi_code", "address", "note"] as const;
type Name = (typeof NAMES)[number];
const UNIT = ["vat_number", "tax_code", "sdi_code"] as const;

export function CustomerForm({ row }: { readonly row: ViewRecord<Customer> | null }) {
  const t = words.value;
  const typed = useSignal<Readonly<Record<Name, string>>>(textsOf(row?.fields));
  const fault = useSignal<string | undefined>(undefined);
  const readonly = !mayEdit();
  const labels: Readonly<Record<Name, string>> = {
    name: t.archive.name,
    email: t.archive.email,
    phone: t.archive.phone,
    vat_number: t.archive.vatNumber,
    tax_code: t.archive.taxCode,
    sdi_code: t.archive.sdiCode,
    address: t.archive.address,
    note: t.archive.note,
  };
  const number = typed.value.vat_number.trim();
  const warning =
    number !== "" && !fitsPartitaIva(number)
      ? /^\d{11}$/.test(number)
        ? t.archive.vatWarning
        : t.archive.badVatNumber
      : undefined;
  const save = async (event: Event) => {
    event.preventDefault();
    const fields = fieldsOf(typed.value);
    fault.value = fields.name === null ? t.archive.badName : undefined;
    if (fields.name === null) return;
    const named = { ...fields, name: fields.name };
    try {
      if (row === null) {
        const made = await theClient().create("customers", changes(null, named));
        go("rubrica", `clienti/${made.recordId}`);
      } else {
        const changed = changes(pick(row.fields, NAMES), named);
        const unit = UNIT.some((name) => name in changed) ? pick(named, UNIT) : {};
        if (Object.keys(changed).length > 0)
          await theClient().update("customers", row.recordId, { ...changed, ...unit });
      }
      tell(t.archive.saved);
    } catch (error) {
      if (!(error instanceof LocalError)) throw error;
      tell(t.sale.failed, { kind: "trouble" });
    }
  };
  const field = (name: Name, more: object = {}) => (
    <Field
      label={labels[name]}
      autocomplete="off"
      readonly={readonly}
      value={typed.value[name]}
      onText={(text) => (typed.value = { ...typed.value, [name]: text })}
      {...more}
    />
  );
  return (
    <Slip>
      <form class="form" onSubmit={(event) => void save(event)}>
        <header class="slip-head">
          <h2>{row?.fields.name ?? t.archive.newCustomer}</h2>
          {row !== null && <Mark unsent={row.unsent} saved={t.common.saved} sent={t.common.sent} />}
        </header>
        {field("name", { required: true, maxlength: 200, fault: fault.value })}
        <div class="two">
          {field("phone", { type: "tel" })}
          {field("email", { type: "email" })}
        </div>
        {field("vat_number", { inputmode: "numeric", maxlength: 28, hint: warning })}
        <div class="two">
          {field("tax_code", { autocapitalize: "characters", maxlength: 16 })}
          {field("sdi_code", { autocapitalize: "characters", maxlength: 7 })}
        </div>
        {field("address", { maxlength: 300 })}
        {field("note", { maxlength: 500 })}
        {readonly ? (
          <p class="hint">{t.archive.readOnly}</p>
        ) : (
          <Button kind="do" wide type="submit">
            {t.common.save}
          </Button>
        )}
      </form>
      {row !== null && !readonly && (
        <DeleteKey collection="customers" id={row.recordId} name={row.fields.name} back="clienti" />
      )}
    </Slip>
  );
}

function textsOf(customer: Customer | undefined): Readonly<Record<Name, string>> {
  return Object.fromEntries(NAMES.map((name) => [name, customer?.[name] ?? ""])) as Record<Name, string>;
}

function fieldsOf(typed: Readonly<Record<Name, string>>): Record<Name, string | null> {
  return Object.fromEntries(NAMES.map((name) => [name, orNull(typed[name])])) as Record<Name, string | null>;
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<T, K>;
}
