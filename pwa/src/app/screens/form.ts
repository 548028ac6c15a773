/** What edit forms share: only what was changed is sent, so that two people's edits of other fields do not collide. */

/** The members of `now` that differ from `before`; all that say something where there was no record. */
export function changes<T extends Readonly<Record<string, unknown>>>(before: T | null, now: T): Partial<T> {
  const changed = Object.entries(now).filter(([name, value]) =>
    before === null ? value !== null : before[name] !== value,
  );
  return Object.fromEntries(changed) as Partial<T>;
}

/** A typed text as the wire has it: trimmed, and null for nothing. */
export function orNull(text: string): string | null {
  const trimmed = text.trim();
  return trimmed === "" ? null : trimmed;
}

/** Whether an Italian VAT number's check digit fits (Luhn over eleven digits). */
export function fitsPartitaIva(text: string): boolean {
  if (!/^\d{11}$/.test(text)) return false;
  const sum = [...text].reduce((total, digit, at) => {
    const value = Number(digit) * (at % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
