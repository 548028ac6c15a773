import { describe, expect, test } from "vitest";
import { splitByRate, totalsOf, vatLines } from "./totals";

describe("sums by rate", () => {
  test("60.00 at 10 % is 54.55 net and 5.45 VAT", () => {
    expect(splitByRate(new Map([["10.00", 6000]]))).toEqual([{ rate: "10.00", gross: 6000, net: 5455, vat: 545 }]);
  });

  test("gross is added up first: the sum of rounded receipts is another figure", () => {
    const one = splitByRate(new Map([["22.00", 100]]))[0]!;
    const hundred = splitByRate(new Map([["22.00", 10_000]]))[0]!;
    expect([one.vat * 100, hundred.vat]).toEqual([1800, 1803]);
  });

  test("half a cent goes up, away from zero for a return, so that both make nothing", () => {
    const [sold, back] = [splitByRate(new Map([["100.00", 5]]))[0]!, splitByRate(new Map([["100.00", -5]]))[0]!];
    expect([sold.net, back.net]).toEqual([3, -3]);
    expect(sold.vat + back.vat).toBe(0);
  });

  test("net and VAT make the gross, for every rate and many amounts", () => {
    for (const rate of ["22.00", "10.00", "5.00", "4.00", "0.00"]) {
      for (let gross = 1; gross < 3000; gross += 7) {
        const [sum] = splitByRate(new Map([[rate, gross]]));
        expect(sum!.net + sum!.vat).toBe(gross);
      }
    }
  });

  test("the highest rate comes first, and the wire gets two places", () => {
    const sums = splitByRate(
      new Map([
        ["4.00", 104],
        ["22.00", 122],
      ]),
    );
    expect(vatLines(sums)).toEqual([
      { rate: "22.00", gross: "1.22", net: "1.00", vat: "0.22" },
      { rate: "4.00", gross: "1.04", net: "1.00", vat: "0.04" },
    ]);
  });
});

test("a voided receipt counts as a receipt and not as money", () => {
  const vat = (gross: string) => [{ rate: "10.00", gross, net: "0.00", vat: "0.00" }];
  const totals = totalsOf([
    { status: "completed", total: "11.00", vat: vat("11.00"), payment_method: "cash" },
    { status: "voided", total: "99.00", vat: vat("99.00"), payment_method: "cash" },
    { status: "completed", total: "22.00", vat: vat("22.00"), payment_method: "card" },
  ]);
  expect(totals).toEqual({
    total: 3300,
    count: 3,
    voided: 1,
    rates: [{ rate: "10.00", gross: 3300, net: 3000, vat: 300 }],
    methods: [
      { method: "card", total: 2200, count: 1 },
      { method: "cash", total: 1100, count: 1 },
    ],
  });
});
