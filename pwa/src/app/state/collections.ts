/**
 * The collections as this app reads them. What newer servers add beyond the generated types is described here, and is
 * used only where the server's schema has it.
 */
import { COLLECTIONS, type Collections, type Day, type Decimal, type Instant, type Invoice, type Uuid, type VatLine } from "../../client";

export interface PaymentSum {
  readonly method: string;
  readonly total: Decimal;
}

/** A till's closing of its day. `voided` are the numbers of voided receipts; sums are without them. */
export interface Closure {
  shop: string;
  terminal_id: string;
  business_day: Day;
  closed_at: Instant;
  number: number | null;
  count: number;
  first_receipt: number | null;
  last_receipt: number | null;
  voided: readonly number[];
  total: Decimal;
  vat: readonly VatLine[];
  payments: readonly PaymentSum[];
  status: "completed" | "voided";
}

export interface Span {
  readonly first: number;
  readonly last: number;
}

export interface Difference {
  readonly what: "total" | "rate" | "method";
  readonly key?: string | null;
  readonly expected: Decimal;
  readonly arrived: Decimal;
}

/** What the server found when it compared a closing with the sales that arrived. */
export interface Reconciliation {
  shop: string;
  kind: "closing" | "receipt";
  terminal_id: string;
  business_day: Day;
  closure_id: Uuid | null;
  receipt_no: number | null;
  status: "open" | "closed";
  opened_at: Instant;
  expected_count: number;
  arrived_count: number;
  arrived_total: Decimal;
  missing: readonly Span[];
  unclosed: readonly Span[];
  doubles: readonly number[];
  elsewhere: readonly number[];
  unvoided: readonly number[];
  differences: readonly Difference[];
  accepted: boolean;
}

/** A file inside an invoice; one without a hash is damaged in the invoice itself. */
export interface Attachment {
  readonly name: string;
  readonly format?: string | null;
  readonly sha256?: string | null;
  readonly size?: number | null;
}

export interface InvoicePayment {
  readonly method?: string | null;
  readonly due_on?: Day | null;
  readonly amount?: string | null;
  readonly iban?: string | null;
}

export type AppInvoice = Omit<Invoice, "attachments" | "payments"> & {
  attachments?: readonly Attachment[] | null;
  payments?: readonly InvoicePayment[] | null;
};

export interface AppCollections extends Omit<Collections, "invoices" | "closures" | "reconciliations"> {
  invoices: AppInvoice;
  closures: Closure;
  reconciliations: Reconciliation;
}

/** Whether this build's schema has a collection. */
export function has(name: keyof AppCollections): boolean {
  return name in COLLECTIONS;
}

export const PULLED = Object.keys(COLLECTIONS);
