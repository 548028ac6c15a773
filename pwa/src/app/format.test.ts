import { describe, expect, test } from "vitest";
import {
  amount,
  bytes,
  dateTime,
  dayAfter,
  decimal,
  money,
  rate,
  romeDay,
  roughly,
  time,
  typedCents,
  typedDecimal,
} from "./format";

/** Blanks of any width as plain ones: what matters is the figures. */
const plain = (text: string) => text.replace(/\s/g, " ");

describe("money", () => {
  test("is written the Italian way, thousands grouped, from cents", () => {
    expect(plain(money(123_450))).toBe("1.234,50 €");
    expect(plain(money(-5))).toBe("-0,05 €");
    expect(plain(money(99_999_999_99))).toBe("99.999.999,99 €");
    expect(amount(0)).toBe("0,00");
  });

  test("is read as people type it, and what is no amount is not guessed at", () => {
    const typed = {
      "12": 1200,
      "12,5": 1250,
      "12.50": 1250,
      "1.234,50": 123_450,
      "1.234": 123_400,
      " 3,20 € ": 320,
      "-4": -400,
    };
    for (const [text, cents] of Object.entries(typed)) expect([text, typedCents(text)]).toEqual([text, cents]);
    for (const text of ["", "abc", "1,234", "12,345", "1.23.4", "1e3", "999999999"])
      expect([text, typedCents(text)]).toEqual([text, null]);
  });
});

describe("decimals", () => {
  test("lose the zeros that say nothing", () => {
    expect(["2.000", "0.250", "1234.500", "10.00", "-3.000", "0.000"].map(decimal)).toEqual([
      "2",
      "0,25",
      "1.234,5",
      "10",
      "-3",
      "0",
    ]);
    expect(rate("10.00")).toBe("10 %");
  });

  test("are typed with comma or point, and never cut", () => {
    expect(typedDecimal("10,5", 2)).toBe("10.50");
    expect(typedDecimal("-3", 3)).toBe("-3.000");
    expect(typedDecimal("1.005", 2)).toBeNull();
    expect(typedDecimal("x", 2)).toBeNull();
  });
});

describe("time", () => {
  test("is Rome's, whatever this machine's zone is", () => {
    expect(romeDay(Date.parse("2026-11-24T23:30:00Z"))).toBe("2026-11-25");
    expect(romeDay(Date.parse("2026-07-01T21:59:00Z"))).toBe("2026-07-01");
    expect(time("2026-11-24T13:32:00.000Z", "it-IT")).toBe("14:32");
    expect(plain(dateTime("2026-11-24T13:32:00.000Z", "it-IT"))).toBe("24 nov 2026, 14:32");
  });

  test("a day after is one day, also over a change of summer time and a leap day", () => {
    expect([dayAfter("2026-10-25", 1), dayAfter("2028-02-28", 1), dayAfter("2026-01-01", -1)]).toEqual([
      "2026-10-26",
      "2028-02-29",
      "2025-12-31",
    ]);
  });

  test("sizes and ages are told roughly", () => {
    expect([bytes(512, "it-IT"), bytes(204_800, "it-IT")].map(plain)).toEqual(["512 B", "204,8 kB"]);
    expect([45, 600, 7200, 200_000].map((seconds) => roughly(seconds, "it-IT"))).toEqual([
      "45 s",
      "10 min",
      "2 h",
      "2 g",
    ]);
  });
});
