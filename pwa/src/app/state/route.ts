/**
 * Where one is: the address's fragment, `#/fatture/<id>`. The server sees none of it.
 *
 * One-time links come in the fragment, too (`#setup=…`, `#pair=…`): they are taken out of the address at once, so that
 * they are neither kept in the history nor used again by going back.
 */
import { signal } from "@preact/signals";

export const SCREENS = ["vendita", "oggi", "fatture", "rubrica", "controllo", "stato", "operazioni"] as const;
export type Screen = (typeof SCREENS)[number];

export interface Route {
  readonly screen: Screen;
  /** What of the screen is open; "" for the screen itself. */
  readonly rest: string;
}

/** What a link that was opened wants. `back`: from an OpenID provider. */
export type Opened = { readonly kind: "setup" | "pair"; readonly token: string } | { readonly kind: "back" } | null;

export function parseRoute(hash: string): Route {
  const [, screen = "", ...rest] = hash.replace(/^#/, "").split("/");
  const known = SCREENS.find((one) => one === screen);
  return known === undefined ? { screen: "vendita", rest: "" } : { screen: known, rest: rest.join("/") };
}

export function parseOpened(hash: string): Opened {
  if (hash === "#rientrato") return { kind: "back" };
  const found = /^#(setup|pair)=([A-Za-z0-9_-]{8,300})$/.exec(hash);
  return found === null ? null : { kind: found[1] as "setup" | "pair", token: found[2]! };
}

/** Where the addresses that notifications name lead to. */
const PAGES: Readonly<Record<string, Screen>> = {
  invoices: "fatture",
  conflicts: "controllo",
  closures: "oggi",
  status: "stato",
};

/** The fragment for a path such as `/invoices/<id>` or `/#/oggi`; Vendita for what is no page of ours. */
export function hrefOfPath(path: string): string {
  const [plain = "", fragment] = path.split("#", 2);
  if (fragment !== undefined) return `#${fragment}`;
  const [, page = "", id = ""] = plain.split("/");
  const screen = PAGES[page];
  return hrefOf(screen ?? "vendita", screen === "fatture" ? id : "");
}

export const route = signal<Route>({ screen: "vendita", rest: "" });
export const opened = signal<Opened>(null);

/** Read the address, and follow it from now on. */
export function followAddress(): void {
  if (location.pathname !== "/") history.replaceState(null, "", `/${location.hash || hrefOfPath(location.pathname)}`);
  const read = () => {
    const link = parseOpened(location.hash);
    if (link !== null) {
      history.replaceState(null, "", location.pathname);
      opened.value = link;
    }
    route.value = parseRoute(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}

export function hrefOf(screen: Screen, rest = ""): string {
  return `#/${screen}${rest === "" ? "" : `/${rest}`}`;
}

export function go(screen: Screen, rest = ""): void {
  location.hash = hrefOf(screen, rest);
}
