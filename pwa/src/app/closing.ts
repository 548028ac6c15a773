/**
 * The closing of a till's day (chiusura): what its receipts since the closing before make. Pure.
 *
 * A receipt's number says whether it is in: those after the last closing's last one. Voided receipts count as receipts
 * and not as money, and are named.
 */
import { moneyText, type Sale } from "../client";
import type { Till } from "./basket";
import type { Closure } from "./state/collections";
import { totalsOf, vatLines } from "./totals";

export interface Drawn {
  readonly fields: Omit<Closure, "closed_at" | "status">;
  readonly first: number;
  readonly last: number;
}

/** This till's receipts that no closing has yet, by number. */
export function unclosedOf(sales: Iterable<Sale>, terminalId: string, closedTo: number): readonly Sale[] {
  const mine = [...sales].filter((sale) => sale.terminal_id === terminalId && sale.receipt_no > closedTo);
  return mine.sort((one, other) => one.receipt_no - other.receipt_no);
}

/** The closing of these receipts; null where there are none. `number` is the till's own. */
export function closingOf(sales: readonly Sale[], till: Till, number: number): Drawn | null {
  const [first, last] = [sales[0]?.receipt_no, sales.at(-1)?.receipt_no];
  if (first === undefined || last === undefined) return null;
  const totals = totalsOf(sales);
  const fields = {
    shop: till.shop,
    terminal_id: till.terminalId,
    business_day: till.businessDay,
    number,
    count: totals.count,
    first_receipt: first,
    last_receipt: last,
    voided: sales.filter((sale) => sale.status === "voided").map((sale) => sale.receipt_no),
    total: moneyText(totals.total),
    vat: vatLines(totals.rates),
    payments: totals.methods.map(({ method, total }) => ({ method, total: moneyText(total) })),
  };
  return { fields, first, last };
}
