/**
 * Sums, by the same rule as the server's (`sync/vat.py`): gross is added up by rate first, then net = gross / (1 + rate),
 * half up, and VAT is the rest. Sums of rounded receipts do not make the rounded sum.
 */
import { moneyText, netOfGross, type Sale, type VatLine } from "../client";
import { centsOr0 } from "./format";

/** One rate's sums in cents; `rate` is per cent with two places, as the wire has it. */
export interface RateSum {
  readonly rate: string;
  readonly gross: number;
  readonly net: number;
  readonly vat: number;
}

export interface MethodSum {
  readonly method: string;
  readonly total: number;
  readonly count: number;
}

/** What a day or a till took. Voided receipts count as receipts and not as money. */
export interface Totals {
  readonly total: number;
  readonly count: number;
  readonly voided: number;
  readonly rates: readonly RateSum[];
  readonly methods: readonly MethodSum[];
}

/** Gross sums by rate, split; the highest rate first. */
export function splitByRate(gross: ReadonlyMap<string, number>): readonly RateSum[] {
  const sums = [...gross].map(([rate, cents]) => {
    const net = netOfGross(cents, rate);
    return { rate, gross: cents, net, vat: cents - net };
  });
  return sums.sort((one, other) => Number(other.rate) - Number(one.rate));
}

/** The same in the wire's form: what a sale or a closing says. */
export function vatLines(sums: readonly RateSum[]): VatLine[] {
  return sums.map(({ rate, gross, net, vat }) => ({
    rate,
    gross: moneyText(gross),
    net: moneyText(net),
    vat: moneyText(vat),
  }));
}

/** Everything that these sales sum up to. */
export function totalsOf(sales: Iterable<Pick<Sale, "status" | "total" | "vat" | "payment_method">>): Totals {
  const gross = new Map<string, number>();
  const methods = new Map<string, { total: number; count: number }>();
  let [total, count, voided] = [0, 0, 0];
  for (const sale of sales) {
    count += 1;
    if (sale.status === "voided") {
      voided += 1;
      continue;
    }
    const cents = centsOr0(sale.total);
    total += cents;
    for (const line of sale.vat) gross.set(line.rate, (gross.get(line.rate) ?? 0) + centsOr0(line.gross));
    const method = methods.get(sale.payment_method) ?? { total: 0, count: 0 };
    methods.set(sale.payment_method, { total: method.total + cents, count: method.count + 1 });
  }
  const byMethod = [...methods].map(([method, sum]) => ({ method, ...sum }));
  byMethod.sort((one, other) => other.total - one.total);
  return { total, count, voided, rates: splitByRate(gross), methods: byMethod };
}
