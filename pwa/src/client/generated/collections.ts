// Made from `GET /v1/schema` by scripts/collections.mjs: do not edit; `make types` makes it anew.
import type { CollectionShape, Day, Decimal, Instant, Json, Uuid } from "../shape";

export const PROTOCOL = 1;

/** What this app was built against; each mutation says so. */
export const SCHEMA = 6;

export interface SaleLine {
  description: string;
  quantity: Decimal;
  unit_price: Decimal;
  total: Decimal;
  vat_rate: Decimal;
  product_id?: Uuid | null;
}

export interface VatLine {
  rate: Decimal;
  gross: Decimal;
  net: Decimal;
  vat: Decimal;
  nature?: string | null;
}

/** A record of `sales`, in the wire's own form. */
export interface Sale {
  shop: string;
  terminal_id: string;
  receipt_no: number;
  business_day: Day;
  sold_at: Instant;
  lines: readonly SaleLine[];
  vat: readonly VatLine[];
  total: Decimal;
  payment_method: string;
  customer_id: Uuid | null;
  status: "completed" | "voided";
  note: string | null;
  flags: readonly string[];
  forward_status: string | null;
  forward_reference: string | null;
}

/** A record of `products`, in the wire's own form. */
export interface Product {
  name: string;
  price: Decimal;
  vat_rate: Decimal;
  category: string | null;
  barcode: string | null;
  active: boolean;
  tags: readonly string[];
  stock: Decimal;
}

/** A record of `customers`, in the wire's own form. */
export interface Customer {
  name: string;
  email: string | null;
  phone: string | null;
  vat_number: string | null;
  tax_code: string | null;
  sdi_code: string | null;
  address: string | null;
  note: string | null;
}

export interface InvoiceLine {
  number: number;
  description: string;
  unit_price: string;
  total: string;
  vat_rate: string;
  quantity?: string | null;
  nature?: string | null;
}

export interface InvoiceSummary {
  rate: string;
  taxable: Decimal;
  tax: Decimal;
  nature?: string | null;
}

/** A record of `invoices`, in the wire's own form. */
export interface Invoice {
  sdi_id: string | null;
  position: number;
  document_type: string;
  number: string;
  issued_on: Day;
  received_at: Instant;
  supplier_name: string;
  supplier_vat: string | null;
  currency: string;
  total: Decimal;
  total_derived: boolean;
  payable: Decimal;
  lines: readonly InvoiceLine[];
  summaries: readonly InvoiceSummary[];
  file_sha256: string | null;
  read: boolean;
}

/** A record of `conflicts`, in the wire's own form. */
export interface Conflict {
  collection: string;
  record_id: Uuid;
  field: string;
  status: "open" | "decided";
  current: Json;
  candidates: Json;
  opened_at: Instant;
  decision: "mine" | "theirs" | "value" | null;
  candidate: Uuid | null;
  value: Json;
  decided_by: string | null;
  decided_at: Instant | null;
}

export interface VatLine {
  rate: Decimal;
  gross: Decimal;
  net: Decimal;
  vat: Decimal;
  nature?: string | null;
}

export interface PaymentSum {
  method: string;
  total: Decimal;
}

/** A record of `closures`, in the wire's own form. */
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

export interface Range {
  first: number;
  last: number;
}

export interface Range {
  first: number;
  last: number;
}

export interface Difference {
  what: "total" | "rate" | "method";
  expected: Decimal;
  arrived: Decimal;
  key?: string | null;
}

export interface VatLine {
  rate: Decimal;
  gross: Decimal;
  net: Decimal;
  vat: Decimal;
  nature?: string | null;
}

export interface PaymentSum {
  method: string;
  total: Decimal;
}

/** A record of `reconciliations`, in the wire's own form. */
export interface Reconciliation {
  shop: string;
  kind: "closing" | "receipt";
  terminal_id: string;
  business_day: Day;
  closure_id: Uuid | null;
  receipt_no: number | null;
  status: "open" | "closed";
  opened_at: Instant;
  closed_at: Instant | null;
  expected_count: number;
  arrived_count: number;
  arrived_total: Decimal;
  missing: readonly Range[];
  unclosed: readonly Range[];
  doubles: readonly number[];
  elsewhere: readonly number[];
  unvoided: readonly number[];
  differences: readonly Difference[];
  vat: readonly VatLine[];
  payments: readonly PaymentSum[];
  accepted: boolean;
}

/** Every collection's record, by the collection's name. */
export interface Collections {
  sales: Sale;
  products: Product;
  customers: Customer;
  invoices: Invoice;
  conflicts: Conflict;
  closures: Closure;
  reconciliations: Reconciliation;
}

/** Every collection's rules, by its name. */
export const COLLECTIONS: { readonly [Name in keyof Collections]: CollectionShape } = {
  sales: {
    schema: 1,
    fact: true,
    concurrentDelete: "delete_wins",
    required: ["business_day","lines","payment_method","receipt_no","shop","sold_at","terminal_id","total","vat"],
    units: {},
    may: {"owner":["create","delete","restore","update"],"clerk":["create","delete","restore","update"],"terminal":["create","update"]},
    fields: {
      shop: {"policy":"immutable","kind":"code","nullable":false},
      terminal_id: {"policy":"immutable","kind":"code","nullable":false},
      receipt_no: {"policy":"immutable","kind":"integer","nullable":false},
      business_day: {"policy":"immutable","kind":"day","nullable":false},
      sold_at: {"policy":"immutable","kind":"instant","nullable":false},
      lines: {"policy":"immutable","kind":"json","nullable":false},
      vat: {"policy":"immutable","kind":"json","nullable":false},
      total: {"policy":"immutable","kind":"decimal","nullable":false,"digits":10,"places":2},
      payment_method: {"policy":"immutable","kind":"code","nullable":false},
      customer_id: {"policy":"last_writer","kind":"uuid","nullable":true,"default":null},
      status: {"policy":"last_writer","kind":"code","nullable":false,"default":"completed"},
      note: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      flags: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      forward_status: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      forward_reference: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
    },
  },
  products: {
    schema: 5,
    fact: false,
    concurrentDelete: "update_wins",
    required: ["name","price","vat_rate"],
    units: {"pricing":["price","vat_rate"]},
    may: {"owner":["create","delete","restore","update"],"clerk":["create","delete","restore","update"],"terminal":[]},
    fields: {
      name: {"policy":"last_writer","kind":"text","nullable":false},
      price: {"policy":"manual","kind":"decimal","nullable":false,"digits":10,"places":2},
      vat_rate: {"policy":"manual","kind":"decimal","nullable":false,"digits":5,"places":2},
      category: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      barcode: {"policy":"last_writer","kind":"code","nullable":true,"default":null},
      active: {"policy":"last_writer","kind":"flag","nullable":false,"default":true},
      tags: {"policy":"tag_set","kind":"json","nullable":false,"default":[]},
      stock: {"policy":"counter","kind":"decimal","nullable":false,"default":"0.000","digits":13,"places":3},
    },
  },
  customers: {
    schema: 5,
    fact: false,
    concurrentDelete: "update_wins",
    required: ["name"],
    units: {"invoicing":["vat_number","tax_code","sdi_code"]},
    may: {"owner":["create","delete","restore","update"],"clerk":["create","delete","restore","update"],"terminal":[]},
    fields: {
      name: {"policy":"last_writer","kind":"text","nullable":false},
      email: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      phone: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      vat_number: {"policy":"manual","kind":"code","nullable":true,"default":null},
      tax_code: {"policy":"manual","kind":"code","nullable":true,"default":null},
      sdi_code: {"policy":"manual","kind":"code","nullable":true,"default":null},
      address: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      note: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
    },
  },
  invoices: {
    schema: 1,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["currency","document_type","issued_on","lines","number","payable","position","received_at","summaries","supplier_name","total"],
    units: {},
    may: {"owner":["update"],"clerk":["update"]},
    fields: {
      sdi_id: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      position: {"policy":"server_owned","kind":"integer","nullable":false},
      document_type: {"policy":"server_owned","kind":"code","nullable":false},
      number: {"policy":"server_owned","kind":"text","nullable":false},
      issued_on: {"policy":"server_owned","kind":"day","nullable":false},
      received_at: {"policy":"server_owned","kind":"instant","nullable":false},
      supplier_name: {"policy":"server_owned","kind":"text","nullable":false},
      supplier_vat: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      currency: {"policy":"server_owned","kind":"code","nullable":false},
      total: {"policy":"server_owned","kind":"decimal","nullable":false,"digits":10,"places":2},
      total_derived: {"policy":"server_owned","kind":"flag","nullable":false,"default":false},
      payable: {"policy":"server_owned","kind":"decimal","nullable":false,"digits":10,"places":2},
      lines: {"policy":"server_owned","kind":"json","nullable":false},
      summaries: {"policy":"server_owned","kind":"json","nullable":false},
      file_sha256: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      read: {"policy":"last_writer","kind":"flag","nullable":false,"default":false},
    },
  },
  conflicts: {
    schema: 5,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["candidates","collection","current","field","opened_at","record_id","status"],
    units: {},
    may: {"owner":["update"],"clerk":["update"],"terminal":["update"]},
    fields: {
      collection: {"policy":"server_owned","kind":"code","nullable":false},
      record_id: {"policy":"server_owned","kind":"uuid","nullable":false},
      field: {"policy":"server_owned","kind":"code","nullable":false},
      status: {"policy":"server_owned","kind":"code","nullable":false},
      current: {"policy":"server_owned","kind":"json","nullable":false},
      candidates: {"policy":"server_owned","kind":"json","nullable":false},
      opened_at: {"policy":"server_owned","kind":"instant","nullable":false},
      decision: {"policy":"last_writer","kind":"code","nullable":true,"default":null},
      candidate: {"policy":"last_writer","kind":"uuid","nullable":true,"default":null},
      value: {"policy":"last_writer","kind":"json","nullable":false,"default":null},
      decided_by: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      decided_at: {"policy":"server_owned","kind":"instant","nullable":true,"default":null},
    },
  },
  closures: {
    schema: 6,
    fact: true,
    concurrentDelete: "delete_wins",
    required: ["business_day","closed_at","count","payments","shop","terminal_id","total","vat"],
    units: {},
    may: {"owner":["create","delete","restore","update"],"clerk":["create","delete","restore","update"],"terminal":["create","update"]},
    fields: {
      shop: {"policy":"immutable","kind":"code","nullable":false},
      terminal_id: {"policy":"immutable","kind":"code","nullable":false},
      business_day: {"policy":"immutable","kind":"day","nullable":false},
      closed_at: {"policy":"immutable","kind":"instant","nullable":false},
      number: {"policy":"immutable","kind":"integer","nullable":true,"default":null},
      count: {"policy":"immutable","kind":"integer","nullable":false},
      first_receipt: {"policy":"immutable","kind":"integer","nullable":true,"default":null},
      last_receipt: {"policy":"immutable","kind":"integer","nullable":true,"default":null},
      voided: {"policy":"immutable","kind":"json","nullable":false,"default":[]},
      total: {"policy":"immutable","kind":"decimal","nullable":false,"digits":10,"places":2},
      vat: {"policy":"immutable","kind":"json","nullable":false},
      payments: {"policy":"immutable","kind":"json","nullable":false},
      status: {"policy":"last_writer","kind":"code","nullable":false,"default":"completed"},
    },
  },
  reconciliations: {
    schema: 6,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["business_day","kind","opened_at","shop","status","terminal_id"],
    units: {},
    may: {"owner":["update"],"clerk":["update"]},
    fields: {
      shop: {"policy":"server_owned","kind":"code","nullable":false},
      kind: {"policy":"server_owned","kind":"code","nullable":false},
      terminal_id: {"policy":"server_owned","kind":"code","nullable":false},
      business_day: {"policy":"server_owned","kind":"day","nullable":false},
      closure_id: {"policy":"server_owned","kind":"uuid","nullable":true,"default":null},
      receipt_no: {"policy":"server_owned","kind":"integer","nullable":true,"default":null},
      status: {"policy":"server_owned","kind":"code","nullable":false},
      opened_at: {"policy":"server_owned","kind":"instant","nullable":false},
      closed_at: {"policy":"server_owned","kind":"instant","nullable":true,"default":null},
      expected_count: {"policy":"server_owned","kind":"integer","nullable":false,"default":0},
      arrived_count: {"policy":"server_owned","kind":"integer","nullable":false,"default":0},
      arrived_total: {"policy":"server_owned","kind":"decimal","nullable":false,"default":"0.00","digits":10,"places":2},
      missing: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      unclosed: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      doubles: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      elsewhere: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      unvoided: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      differences: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      vat: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      payments: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      accepted: {"policy":"last_writer","kind":"flag","nullable":false,"default":false},
    },
  },
};
