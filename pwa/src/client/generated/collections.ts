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
  postcode: string | null;
  city: string | null;
  province: string | null;
  country: string | null;
  pec: string | null;
  note: string | null;
  plan: string | null;
}

export interface InvoiceLine {
  number: number;
  description: string;
  unit_price: string;
  total: string;
  vat_rate: string;
  quantity?: string | null;
  nature?: string | null;
  unit?: string | null;
}

export interface InvoiceSummary {
  rate: string;
  taxable: Decimal;
  tax: Decimal;
  nature?: string | null;
  due?: string | null;
}

export interface InvoiceWithholding {
  kind?: string | null;
  amount?: string | null;
  rate?: string | null;
  reason?: string | null;
}

export interface InvoiceFund {
  kind?: string | null;
  rate?: string | null;
  amount?: string | null;
  taxable?: string | null;
  vat_rate?: string | null;
  nature?: string | null;
  withheld?: boolean | null;
}

export interface InvoiceDiscount {
  kind?: string | null;
  percent?: string | null;
  amount?: string | null;
}

export interface InvoiceRelated {
  kind: string;
  number?: string | null;
  day?: string | null;
}

export interface InvoicePayment {
  conditions?: string | null;
  method?: string | null;
  due_on?: string | null;
  amount?: string | null;
  iban?: string | null;
}

export interface InvoiceAttachment {
  name: string;
  format?: string | null;
  sha256?: string | null;
  size?: number | null;
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
  source_sha256: string | null;
  signature: "absent" | "intact" | "broken" | "unverified" | null;
  supplier_tax_code: string | null;
  supplier_address: string | null;
  customer_name: string | null;
  customer_vat: string | null;
  rounding: string | null;
  stamp_duty: string | null;
  withheld: Decimal | null;
  causes: readonly string[] | null;
  withholdings: readonly InvoiceWithholding[] | null;
  funds: readonly InvoiceFund[] | null;
  discounts: readonly InvoiceDiscount[] | null;
  related: readonly InvoiceRelated[] | null;
  payments: readonly InvoicePayment[] | null;
  attachments: readonly InvoiceAttachment[] | null;
}

export interface InvoiceParty {
  name: string;
  address: string;
  postcode: string;
  city: string;
  country: string;
  vat_number?: string | null;
  tax_code?: string | null;
  province?: string | null;
  sdi_code?: string | null;
  pec?: string | null;
  regime?: string | null;
}

export interface InvoiceParty {
  name: string;
  address: string;
  postcode: string;
  city: string;
  country: string;
  vat_number?: string | null;
  tax_code?: string | null;
  province?: string | null;
  sdi_code?: string | null;
  pec?: string | null;
  regime?: string | null;
}

export interface IssuedLine {
  description: string;
  unit_price: string;
  total: string;
  vat_rate: string;
  quantity?: string | null;
  nature?: string | null;
}

export interface VatLine {
  rate: Decimal;
  gross: Decimal;
  net: Decimal;
  vat: Decimal;
  nature?: string | null;
}

export interface SdiError {
  code: string;
  description: string;
}

/** A record of `issued_invoices`, in the wire's own form. */
export interface IssuedInvoice {
  shop: string;
  sale_id: Uuid;
  issued_on: Day;
  customer_id: Uuid;
  submission: number;
  document_type: string;
  credits: Uuid | null;
  status: "requested" | "incomplete" | "issued" | "cancelled";
  problems: readonly string[];
  flags: readonly string[];
  submitted: number;
  series: string | null;
  year: number | null;
  sequence: number | null;
  number: string | null;
  file_name: string | null;
  via: string | null;
  seller: InvoiceParty | null;
  buyer: InvoiceParty | null;
  lines: readonly IssuedLine[];
  vat: readonly VatLine[];
  total: Decimal | null;
  stamp_duty: Decimal | null;
  payment_method: string | null;
  credits_number: string | null;
  credits_issued_on: Day | null;
  delivery: string | null;
  reference: string | null;
  sdi_id: string | null;
  sdi_status: "delivered" | "undelivered" | "discarded" | "attested" | "accepted" | "refused" | "expired" | null;
  sdi_errors: readonly SdiError[];
  sdi_at: Instant | null;
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

/** A record of `quarantined`, in the wire's own form. */
export interface Quarantined {
  provider: string;
  receipt_id: Uuid;
  code: string;
  reason: string;
  received_at: Instant;
  file_name: string | null;
  sdi_id: string | null;
  read: boolean;
}

/** A record of `payments`, in the wire's own form. */
export interface Payment {
  shop: string;
  provider_id: string;
  sale_id: Uuid | null;
  customer_id: Uuid | null;
  status: string;
  amount: Decimal;
  received: Decimal;
  refunded: Decimal;
  failure: string | null;
  dispute: string | null;
  created_at: Instant;
}

/** A record of `subscriptions`, in the wire's own form. */
export interface Subscription {
  provider_id: string;
  customer_id: Uuid | null;
  plan: string | null;
  status: string;
  entitled: boolean;
  period_ends_at: Instant | null;
  ends_after_period: boolean;
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
  issued_invoices: IssuedInvoice;
  conflicts: Conflict;
  quarantined: Quarantined;
  payments: Payment;
  subscriptions: Subscription;
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
    schema: 6,
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
      postcode: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      city: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      province: {"policy":"last_writer","kind":"code","nullable":true,"default":null},
      country: {"policy":"last_writer","kind":"code","nullable":true,"default":null},
      pec: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      note: {"policy":"last_writer","kind":"text","nullable":true,"default":null},
      plan: {"policy":"manual","kind":"code","nullable":true,"default":null},
    },
  },
  invoices: {
    schema: 6,
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
      source_sha256: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      signature: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      supplier_tax_code: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      supplier_address: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      customer_name: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      customer_vat: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      rounding: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      stamp_duty: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      withheld: {"policy":"server_owned","kind":"decimal","nullable":true,"default":null,"digits":10,"places":2},
      causes: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      withholdings: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      funds: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      discounts: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      related: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      payments: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      attachments: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
    },
  },
  issued_invoices: {
    schema: 6,
    fact: true,
    concurrentDelete: "delete_wins",
    required: ["customer_id","issued_on","sale_id","shop"],
    units: {},
    may: {"owner":["create","update"],"clerk":["create","update"],"terminal":["create","update"]},
    fields: {
      shop: {"policy":"immutable","kind":"code","nullable":false},
      sale_id: {"policy":"immutable","kind":"uuid","nullable":false},
      issued_on: {"policy":"immutable","kind":"day","nullable":false},
      customer_id: {"policy":"last_writer","kind":"uuid","nullable":false},
      submission: {"policy":"last_writer","kind":"integer","nullable":false,"default":1},
      document_type: {"policy":"server_owned","kind":"code","nullable":false,"default":"TD01"},
      credits: {"policy":"server_owned","kind":"uuid","nullable":true,"default":null},
      status: {"policy":"server_owned","kind":"code","nullable":false,"default":"requested"},
      problems: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      flags: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      submitted: {"policy":"server_owned","kind":"integer","nullable":false,"default":0},
      series: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      year: {"policy":"server_owned","kind":"integer","nullable":true,"default":null},
      sequence: {"policy":"server_owned","kind":"integer","nullable":true,"default":null},
      number: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      file_name: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      via: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      seller: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      buyer: {"policy":"server_owned","kind":"json","nullable":true,"default":null},
      lines: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      vat: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      total: {"policy":"server_owned","kind":"decimal","nullable":true,"default":null,"digits":10,"places":2},
      stamp_duty: {"policy":"server_owned","kind":"decimal","nullable":true,"default":null,"digits":10,"places":2},
      payment_method: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      credits_number: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      credits_issued_on: {"policy":"server_owned","kind":"day","nullable":true,"default":null},
      delivery: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      reference: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      sdi_id: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      sdi_status: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      sdi_errors: {"policy":"server_owned","kind":"json","nullable":false,"default":[]},
      sdi_at: {"policy":"server_owned","kind":"instant","nullable":true,"default":null},
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
  quarantined: {
    schema: 6,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["code","provider","reason","receipt_id","received_at"],
    units: {},
    may: {"owner":["update"]},
    fields: {
      provider: {"policy":"server_owned","kind":"code","nullable":false},
      receipt_id: {"policy":"server_owned","kind":"uuid","nullable":false},
      code: {"policy":"server_owned","kind":"code","nullable":false},
      reason: {"policy":"server_owned","kind":"text","nullable":false},
      received_at: {"policy":"server_owned","kind":"instant","nullable":false},
      file_name: {"policy":"server_owned","kind":"text","nullable":true,"default":null},
      sdi_id: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      read: {"policy":"last_writer","kind":"flag","nullable":false,"default":false},
    },
  },
  payments: {
    schema: 6,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["amount","created_at","provider_id","received","refunded","shop","status"],
    units: {},
    may: {},
    fields: {
      shop: {"policy":"server_owned","kind":"code","nullable":false},
      provider_id: {"policy":"server_owned","kind":"code","nullable":false},
      sale_id: {"policy":"server_owned","kind":"uuid","nullable":true,"default":null},
      customer_id: {"policy":"server_owned","kind":"uuid","nullable":true,"default":null},
      status: {"policy":"server_owned","kind":"code","nullable":false},
      amount: {"policy":"server_owned","kind":"decimal","nullable":false,"digits":10,"places":2},
      received: {"policy":"server_owned","kind":"decimal","nullable":false,"digits":10,"places":2},
      refunded: {"policy":"server_owned","kind":"decimal","nullable":false,"digits":10,"places":2},
      failure: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      dispute: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      created_at: {"policy":"server_owned","kind":"instant","nullable":false},
    },
  },
  subscriptions: {
    schema: 6,
    fact: false,
    concurrentDelete: "delete_wins",
    required: ["provider_id","status"],
    units: {},
    may: {},
    fields: {
      provider_id: {"policy":"server_owned","kind":"code","nullable":false},
      customer_id: {"policy":"server_owned","kind":"uuid","nullable":true,"default":null},
      plan: {"policy":"server_owned","kind":"code","nullable":true,"default":null},
      status: {"policy":"server_owned","kind":"code","nullable":false},
      entitled: {"policy":"server_owned","kind":"flag","nullable":false,"default":false},
      period_ends_at: {"policy":"server_owned","kind":"instant","nullable":true,"default":null},
      ends_after_period: {"policy":"server_owned","kind":"flag","nullable":false,"default":false},
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
