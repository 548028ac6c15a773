/**
 * The basket: what is on the slip that is being rung up. Pure: each change gives a new one.
 *
 * A line's total is quantity × price, half up to the cent; the basket's sums by rate are made of these totals.
 */
import { addDecimals, centsOf, moneyText, timesCents, type Product, type Sale, type SaleLine } from "../client";
import { splitByRate, vatLines, type RateSum } from "./totals";

/** `key` tells lines apart: a product's id, or a free amount's own. */
export interface Line {
  readonly key: string;
  readonly productId: string | null;
  readonly name: string;
  readonly quantity: string;
  readonly unitCents: number;
  readonly rate: string;
}

export interface Basket {
  readonly lines: readonly Line[];
  readonly customerId: string | null;
}

export const EMPTY: Basket = { lines: [], customerId: null };
const LONGEST_NAME = 200;
const MOST_LINES = 500;

/** One more of a product; what stands on the slip keeps the price it was put there with. */
export function addProduct(basket: Basket, productId: string, product: Product): Basket {
  if (basket.lines.some((line) => line.key === productId)) return changeQuantity(basket, productId, "1.000");
  const line = {
    key: productId,
    productId,
    name: product.name.slice(0, LONGEST_NAME),
    quantity: "1.000",
    unitCents: centsOf(product.price),
    rate: product.vat_rate,
  };
  return withLine(basket, line);
}

/** An amount without a product. */
export function addFree(basket: Basket, key: string, name: string, cents: number, rate: string): Basket {
  return withLine(basket, { key, productId: null, name, quantity: "1.000", unitCents: cents, rate });
}

/** More or less of a line; one that comes to nothing goes. */
export function changeQuantity(basket: Basket, key: string, by: string): Basket {
  const lines = basket.lines.map((line) =>
    line.key === key ? { ...line, quantity: addDecimals(line.quantity, by) } : line,
  );
  return { ...basket, lines: lines.filter((line) => Number(line.quantity) > 0) };
}

export function removeLine(basket: Basket, key: string): Basket {
  return { ...basket, lines: basket.lines.filter((line) => line.key !== key) };
}

export function lineCents(line: Line): number {
  return timesCents(line.quantity, line.unitCents);
}

export function totalCents(basket: Basket): number {
  return basket.lines.reduce((sum, line) => sum + lineCents(line), 0);
}

/** How many of a product are on the slip, as a number for the eye. */
export function quantityOf(basket: Basket, productId: string): number {
  const line = basket.lines.find((one) => one.key === productId);
  return line === undefined ? 0 : Number(line.quantity);
}

export function ratesOf(basket: Basket): readonly RateSum[] {
  const gross = new Map<string, number>();
  for (const line of basket.lines) gross.set(line.rate, (gross.get(line.rate) ?? 0) + lineCents(line));
  return splitByRate(gross);
}

/** Where and when a sale is made. */
export interface Till {
  readonly shop: string;
  readonly terminalId: string;
  readonly businessDay: string;
}

/** The sale's fields but its number, which its series gives. */
export function saleOf(basket: Basket, till: Till, method: string, soldAt: string): Omit<Partial<Sale>, "receipt_no"> {
  return {
    shop: till.shop,
    terminal_id: till.terminalId,
    business_day: till.businessDay,
    sold_at: soldAt,
    lines: basket.lines.map(wireLine),
    vat: vatLines(ratesOf(basket)),
    total: moneyText(totalCents(basket)),
    payment_method: method,
    ...(basket.customerId === null ? {} : { customer_id: basket.customerId }),
  };
}

function wireLine(line: Line): SaleLine {
  return {
    description: line.name,
    quantity: line.quantity,
    unit_price: moneyText(line.unitCents),
    total: moneyText(lineCents(line)),
    vat_rate: line.rate,
    ...(line.productId === null ? {} : { product_id: line.productId }),
  };
}

function withLine(basket: Basket, line: Line): Basket {
  return basket.lines.length < MOST_LINES ? { ...basket, lines: [...basket.lines, line] } : basket;
}
