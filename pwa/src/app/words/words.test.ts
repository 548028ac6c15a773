import { describe, expect, test } from "vitest";
import { en } from "./en";
import { it as italian } from "./it";

type Tree = { readonly [name: string]: string | ((...given: never[]) => string) | Tree };

/** Every word's path, with what it is and how much it wants to be given. */
function pathsOf(tree: Tree, before = ""): readonly string[] {
  return Object.entries(tree).flatMap(([name, word]) => {
    const path = `${before}${name}`;
    if (typeof word === "string") return [`${path}: text`];
    if (typeof word === "function") return [`${path}: of ${word.length}`];
    return pathsOf(word, `${path}.`);
  });
}

describe("the dictionary", () => {
  test("has the same words in both languages", () => {
    expect(pathsOf(en as unknown as Tree)).toEqual(pathsOf(italian as unknown as Tree));
  });

  test("has no empty word", () => {
    const empty = (tree: Tree): boolean =>
      Object.values(tree).some((word) => (typeof word === "object" ? empty(word) : word === ""));
    expect([empty(italian as unknown as Tree), empty(en as unknown as Tree)]).toEqual([false, false]);
  });

  test("speaks of saved and sent, never of queues", () => {
    const texts = JSON.stringify([italian, en]).toLowerCase();
    expect(["queued", "in coda", "accodat"].filter((word) => texts.includes(word))).toEqual([]);
    expect([italian.common.saved, italian.common.sent]).toEqual(["Salvato su questo dispositivo", "Inviato"]);
  });

  test("counts in the singular, too", () => {
    expect([italian.sale.lines(1), italian.sale.lines(2), en.sale.lines(1), en.sale.lines(2)]).toEqual([
      "1 articolo",
      "2 articoli",
      "1 item",
      "2 items",
    ]);
  });
});
