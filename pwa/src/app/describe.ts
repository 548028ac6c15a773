/** What a mutation or a value is called where people read it. Pure. */
import type { Entry, Json } from "../client";
import { dateTime, decimal, rate, wireMoney } from "./format";
import type { Words } from "./words";

const MONEY: ReadonlySet<string> = new Set([
  "price",
  "total",
  "unit_price",
  "gross",
  "net",
  "vat",
  "payable",
  "taxable",
  "tax",
]);

/** `Vendita n. 12, 4,50 €`; `Prodotto: Caffè`. */
export function describe(entry: Entry, t: Words): string {
  const kind = t.review.collections[entry.collection] ?? entry.collection;
  const fields = entry.content.fields ?? {};
  if (entry.collection === "sales" && typeof fields["receipt_no"] === "number") {
    return `${kind} n. ${fields["receipt_no"]}, ${wireMoney(String(fields["total"] ?? "0.00"))}`;
  }
  if (entry.collection === "sales" && fields["status"] === "voided") return `${kind}: ${t.today.voided.toLowerCase()}`;
  if (typeof fields["name"] === "string") return `${kind}: ${fields["name"]}`;
  const changed = Object.keys({
    ...fields,
    ...entry.content.increments,
    ...entry.content.adds,
    ...entry.content.removes,
  });
  const op = t.review.ops[entry.content.op];
  return changed.length === 0
    ? `${kind}: ${op.toLowerCase()}`
    : `${kind}: ${changed.map((name) => fieldName(name, t).toLowerCase()).join(", ")}`;
}

export function fieldName(name: string, t: Words): string {
  return t.review.fields[name] ?? name;
}

/** A field's value as it is shown: money with its sign, flags in words, what has parts part by part. */
export function valueText(name: string, value: Json, t: Words): string {
  if (value === null || value === "") return "—";
  if (typeof value === "boolean") return value ? t.common.yes : t.common.no;
  if (Array.isArray(value)) return value.map((one) => valueText(name, one as Json, t)).join(", ");
  if (typeof value === "object") {
    const parts = Object.entries(value as Record<string, Json>);
    return parts.map(([part, inner]) => `${fieldName(part, t)}: ${valueText(part, inner, t)}`).join(" · ");
  }
  const text = String(value);
  if (MONEY.has(name) && /^-?\d+(\.\d{1,2})?$/.test(text)) return wireMoney(text);
  if (name === "vat_rate" || name === "rate") return rate(text);
  if (name === "stock" || name === "quantity") return decimal(text);
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return dateTime(text, t.locale);
  return text;
}
