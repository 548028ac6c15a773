import { describe, expect, test } from "vitest";
import type { Status } from "../../client";
import { it as italian } from "../words/it";
import { hrefOfPath, parseOpened, parseRoute } from "./route";
import { standingOf, waitsTooLong } from "./standing";

const CALM: Status = {
  state: "idle",
  code: null,
  reason: null,
  pending: 0,
  waiting: 0,
  rejected: 0,
  oldestPendingAt: null,
  updateNeeded: false,
  differences: 0,
  lastExchangeAt: "2026-11-24T13:32:00.000Z",
  complete: true,
  leads: true,
};

const said = (some: Partial<Status>, conflicts = 0) => standingOf({ ...CALM, ...some }, conflicts, italian);

describe("the pill", () => {
  test("says when everything was sent", () => {
    expect(said({})).toEqual({ tone: "sent", text: "Tutto inviato · 14:32" });
  });

  test("says how much is still to be sent, and that it is safe without a network", () => {
    expect(said({ pending: 3 })).toEqual({ tone: "unsent", text: "3 da inviare" });
    expect(said({ state: "backing_off" })).toEqual({ tone: "offline", text: "Senza rete: salvo qui" });
    expect(said({ state: "backing_off", pending: 2 }).text).toBe("Senza rete: 2 salvati qui");
  });

  test("what needs a person comes before what passes by itself", () => {
    expect(said({ state: "backing_off", rejected: 1 }, 1)).toEqual({ tone: "person", text: "2 da controllare" });
    expect(said({ state: "held_signed_out", code: "signed_out", rejected: 1 }).text).toBe("Accedi per inviare");
    expect(said({ state: "held_signed_out", code: "foreign_queue" }).text).toBe("Invio fermo");
    expect(said({ updateNeeded: true }).text).toBe("Aggiorna l'app");
  });

  test("warns of what waits for more than a day", () => {
    const now = Date.parse("2026-11-24T13:00:00Z");
    expect(waitsTooLong({ ...CALM, oldestPendingAt: "2026-11-23T12:59:00.000Z" }, now)).toBe(true);
    expect(waitsTooLong({ ...CALM, oldestPendingAt: "2026-11-23T13:01:00.000Z" }, now)).toBe(false);
  });
});

describe("the address", () => {
  test("names a screen and what of it is open; anything else is Vendita", () => {
    expect(parseRoute("#/fatture/abc")).toEqual({ screen: "fatture", rest: "abc" });
    expect(parseRoute("#/rubrica/clienti/abc")).toEqual({ screen: "rubrica", rest: "clienti/abc" });
    for (const hash of ["", "#", "#/", "#/nowhere", "#setup=x"]) expect(parseRoute(hash).screen).toBe("vendita");
  });

  test("what a notification names leads to its screen", () => {
    const led = ["/invoices/abc", "/conflicts", "/closures/x", "/status", "/#/oggi", "/nowhere", "/"].map(hrefOfPath);
    expect(led).toEqual(["#/fatture/abc", "#/controllo", "#/oggi", "#/stato", "#/oggi", "#/vendita", "#/vendita"]);
  });

  test("one-time links are read, and nothing else is taken for one", () => {
    expect(parseOpened("#setup=abcdefgh_01")).toEqual({ kind: "setup", token: "abcdefgh_01" });
    expect(parseOpened("#pair=abcdefgh_01")).toEqual({ kind: "pair", token: "abcdefgh_01" });
    for (const hash of ["#setup=", "#pair=<script>", "#/pair=abcdefgh", "#other=abcdefgh"])
      expect(parseOpened(hash)).toBeNull();
  });
});
