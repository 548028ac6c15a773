/**
 * How values look: money in the Italian way whatever the language, dates in Europe/Rome whatever the device says.
 *
 * Money is cents here, decimals of two places on the wire. Nothing in this file rounds.
 */
import { centsOf } from "../client";

export const ZONE = "Europe/Rome";
const LONGEST_CENTS = 99_999_999_99;

const MONEY = new Intl.NumberFormat("it-IT", {
  style: "currency",
  currency: "EUR",
  useGrouping: "always",
} as Intl.NumberFormatOptions);
const PLAIN = new Intl.NumberFormat("it-IT", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  useGrouping: "always",
} as Intl.NumberFormatOptions);

/** `1.234,50 €`. */
export function money(cents: number): string {
  return MONEY.format(cents / 100);
}

/** `1.234,50`, where a column says that it is euro. */
export function amount(cents: number): string {
  return PLAIN.format(cents / 100);
}

/** Cents of a decimal of the wire; 0 for what is none. */
export function centsOr0(text: string | null | undefined): number {
  try {
    return text == null ? 0 : centsOf(text);
  } catch {
    return 0;
  }
}

/** Money of the wire as it is shown. */
export function wireMoney(text: string): string {
  return money(centsOr0(text));
}

/** Cents of what somebody typed: `12`, `12,5`, `1.234,50`, `12.50`; null for what is no amount. */
export function typedCents(text: string): number | null {
  const compact = text.replace(/[\s€]/g, "");
  const grouped = /^-?\d{1,3}(\.\d{3})+(,\d{1,2})?$/.test(compact);
  const plain = grouped ? compact.replaceAll(".", "").replace(",", ".") : compact.replace(",", ".");
  const found = /^(-?)(\d{1,8})(?:\.(\d{1,2}))?$/.exec(plain);
  if (found === null) return null;
  const cents = Number(found[2]) * 100 + Number((found[3] ?? "").padEnd(2, "0"));
  if (cents > LONGEST_CENTS) return null;
  return found[1] === "-" ? -cents : cents;
}

/** A typed decimal in the wire's form with `places`; null for what is none. `10` and `10,5` are `10.00` and `10.50`. */
export function typedDecimal(text: string, places: number): string | null {
  const found = /^(-?)(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (found === null || (found[3] ?? "").length > places) return null;
  return `${found[1]}${Number(found[2])}.${(found[3] ?? "").padEnd(places, "0")}`;
}

/** A decimal of the wire as people write it: `2.000` is `2`, `0.250` is `0,25`. */
export function decimal(text: string): string {
  const found = /^(-?)(\d+)(?:\.(\d*?)0*)?$/.exec(text);
  if (found === null) return text;
  const whole = found[2]!.replace(/\B(?=(\d{3})+$)/g, ".");
  return `${found[1]}${whole}${found[3] ? `,${found[3]}` : ""}`;
}

/** `10.00` is `10 %`. */
export function rate(text: string): string {
  return `${decimal(text)} %`;
}

/** The day it is in Rome at that moment: `2026-11-24`. */
export function romeDay(ms: number): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE, dateStyle: "short" }).format(ms);
}

/** That many days after a day. */
export function dayAfter(day: string, days: number): string {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(Date.UTC(year!, month! - 1, date! + days)).toISOString().slice(0, 10);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, { timeZone: ZONE, ...options });
  formats.set(key, known);
  return known;
}

/** `14:32`. */
export function time(instant: string, locale: string): string {
  return format(locale, { hour: "2-digit", minute: "2-digit" }).format(new Date(instant));
}

/** `24 nov 2026, 14:32`. */
export function dateTime(instant: string, locale: string): string {
  return format(locale, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(
    new Date(instant),
  );
}

/** `24 novembre 2026` of a day without a time. */
export function longDay(day: string, locale: string): string {
  return format(locale, { day: "numeric", month: "long", year: "numeric" }).format(new Date(`${day}T12:00:00Z`));
}

/** `mar 24 nov` of a day without a time. */
export function shortDay(day: string, locale: string): string {
  return format(locale, { weekday: "short", day: "numeric", month: "short" }).format(new Date(`${day}T12:00:00Z`));
}

/** `12,4 MB`. */
export function bytes(count: number, locale: string): string {
  const units = ["B", "kB", "MB", "GB"] as const;
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(value)} ${units[unit]}`;
}

/** A number of seconds as one rough word: `45 s`, `12 min`, `3 h`, `2 g`. */
export function roughly(seconds: number, locale: string): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} ${locale.startsWith("it") ? "g" : "d"}`;
}
