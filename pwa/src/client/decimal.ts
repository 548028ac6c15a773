/**
 * Exact decimals. On the wire and in records a decimal is text; sums are made of integers of its smallest unit, so
 * nothing on the way can round. Money is a number of cents: DECIMAL(10,2) has less than 2^53 of them.
 */
import type { Decimal } from "./shape";

const TEXT = /^(-?)(\d{1,40})(?:\.(\d{1,40}))?$/;
const MONEY_DIGITS = 10;
const MONEY_PLACES = 2;

/**
 * The one form of a decimal that fits DECIMAL(digits, places): `12`, `12.5` and `-0` are `12.00`, `12.50` and `0.00`.
 * Null for what does not fit or is none.
 */
export function canonicalDecimal(value: unknown, digits: number, places: number): Decimal | null {
  if (typeof value !== "string") return null;
  const found = TEXT.exec(value);
  if (found === null) return null;
  const [, sign, whole, fraction = ""] = found;
  if (whole!.length > 1 && whole!.startsWith("0")) return null;
  if (fraction.length > places || whole!.length > digits - places) return null;
  return decimalText(BigInt(`${sign}${whole}${fraction.padEnd(places, "0")}`), places);
}

/** A canonical decimal as an integer of its smallest unit: `-12.50` with 2 places is -1250n. */
export function unitsOf(text: Decimal, places: number): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(places, "0"));
}

/** The canonical decimal of that many smallest units. */
export function decimalText(units: bigint, places: number): Decimal {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  const text = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
  return units < 0n ? `-${text}` : text;
}

/** The exact sum, with as many places as the finer of the two. Throws RangeError for what is no decimal. */
export function addDecimals(one: Decimal, other: Decimal): Decimal {
  const places = Math.max(placesOf(one), placesOf(other));
  return decimalText(unitsOf(one, places) + unitsOf(other, places), places);
}

/** Money as cents: `"12.5"` is 1250. Throws RangeError for what does not fit DECIMAL(10,2). */
export function centsOf(text: Decimal): number {
  const canonical = canonicalDecimal(text, MONEY_DIGITS, MONEY_PLACES);
  if (canonical === null) throw new RangeError("no amount of money");
  return Number(unitsOf(canonical, MONEY_PLACES));
}

/** Cents as money: 1250 is `"12.50"`. Throws RangeError for fractions of a cent and what does not fit DECIMAL(10,2). */
export function moneyText(cents: number): Decimal {
  if (!Number.isSafeInteger(cents) || Math.abs(cents) >= 10 ** MONEY_DIGITS) throw new RangeError("no amount of money");
  return decimalText(BigInt(cents), MONEY_PLACES);
}

/**
 * A quantity times a price in cents, rounded half up (away from zero), as a receipt does: 0.333 × 9.99 is 3.33.
 * Throws RangeError for what is no decimal.
 */
export function timesCents(quantity: Decimal, cents: number): number {
  const places = placesOf(quantity);
  return divideHalfUp(unitsOf(quantity, places) * BigInt(cents), 10n ** BigInt(places));
}

/**
 * What of a gross sum of cents is net, at a rate in per cent (`"10.00"`); the VAT is the rest. Rounded half up.
 */
export function netOfGross(grossCents: number, rate: Decimal): number {
  const places = placesOf(rate);
  const hundred = 100n * 10n ** BigInt(places);
  return divideHalfUp(BigInt(grossCents) * hundred, hundred + unitsOf(rate, places));
}

function divideHalfUp(dividend: bigint, divisor: bigint): number {
  const size = dividend < 0n ? -dividend : dividend;
  const rounded = (size * 2n + divisor) / (divisor * 2n);
  return Number(dividend < 0n ? -rounded : rounded);
}

function placesOf(text: Decimal): number {
  const found = TEXT.exec(text);
  if (found === null) throw new RangeError("no decimal");
  return (found[3] ?? "").length;
}
