import { describe, expect, test } from "vitest";
import type { Product } from "../client";
import {
  EMPTY,
  addFree,
  addProduct,
  changeQuantity,
  lineCents,
  quantityOf,
  removeLine,
  saleOf,
  totalCents,
} from "./basket";
import { closingOf, unclosedOf } from "./closing";

const product = (name: string, price: string, rate = "10.00"): Product => ({
  name,
  price,
  vat_rate: rate,
  category: null,
  barcode: null,
  active: true,
  tags: [],
  stock: "0.000",
});
const till = { shop: "centro", terminalId: "cassa-1", businessDay: "2026-11-24" };

describe("a basket", () => {
  test("counts one product on one line, and keeps the price it was put there with", () => {
    const once = addProduct(EMPTY, "a", product("Caffè", "1.20"));
    const twice = addProduct(once, "a", product("Caffè", "9.90"));
    expect([twice.lines.length, quantityOf(twice, "a"), totalCents(twice)]).toEqual([1, 2, 240]);
    expect(totalCents(once)).toBe(120); // the one before is not touched
  });

  test("a line that comes to nothing goes", () => {
    const basket = addProduct(addProduct(EMPTY, "a", product("Caffè", "1.20")), "b", product("Tè", "1.50"));
    expect(changeQuantity(basket, "a", "-1").lines.map((line) => line.key)).toEqual(["b"]);
    expect(removeLine(basket, "b").lines.map((line) => line.key)).toEqual(["a"]);
  });

  test("weighed goods are rounded half up to the cent", () => {
    const basket = changeQuantity(addFree(EMPTY, "x", "Pane", 999, "4.00"), "x", "-0.667");
    expect([basket.lines[0]!.quantity, lineCents(basket.lines[0]!)]).toEqual(["0.333", 333]);
  });

  test("becomes a sale whose sums by rate make its total", () => {
    let basket = addProduct(EMPTY, "a", product("Caffè", "1.20"));
    basket = addFree(addProduct(basket, "a", product("Caffè", "1.20")), "x", "Varie", 500, "22.00");
    const sale = saleOf(basket, till, "cash", "2026-11-24T10:00:00.000Z");
    expect(sale.total).toBe("7.40");
    expect(sale.vat).toEqual([
      { rate: "22.00", gross: "5.00", net: "4.10", vat: "0.90" },
      { rate: "10.00", gross: "2.40", net: "2.18", vat: "0.22" },
    ]);
    expect(sale.lines).toEqual([
      {
        description: "Caffè",
        quantity: "2.000",
        unit_price: "1.20",
        total: "2.40",
        vat_rate: "10.00",
        product_id: "a",
      },
      { description: "Varie", quantity: "1.000", unit_price: "5.00", total: "5.00", vat_rate: "22.00" },
    ]);
    expect("receipt_no" in sale).toBe(false); // given by the series, in the sale's own transaction
  });
});

describe("a closing", () => {
  const sale = (number: number, status: "completed" | "voided" = "completed", terminal_id = "cassa-1") => ({
    ...(saleOf(
      addProduct(EMPTY, "a", product("Caffè", "11.00")),
      { ...till, terminalId: terminal_id },
      "cash",
      "2026-11-24T10:00:00.000Z",
    ) as never as object),
    receipt_no: number,
    status,
  });

  test("takes this till's receipts after the last closing, voided ones named and not counted as money", () => {
    const sales = [sale(7), sale(5), sale(6, "voided"), sale(4), sale(9, "completed", "cassa-2")] as never[];
    const closing = closingOf(unclosedOf(sales, "cassa-1", 4), till, 3)!;
    expect(closing.fields).toMatchObject({
      number: 3,
      count: 3,
      first_receipt: 5,
      last_receipt: 7,
      voided: [6],
      total: "22.00",
      vat: [{ rate: "10.00", gross: "22.00", net: "20.00", vat: "2.00" }],
      payments: [{ method: "cash", total: "22.00" }],
    });
  });

  test("of no receipts is none", () => {
    expect(closingOf(unclosedOf([], "cassa-1", 0), till, 1)).toBeNull();
  });
});
