/** Where a session is kept between starts: one small value, on disk when its promise is kept. */
import { StoreError } from "./errors";
import type { Signed } from "./door";

/**
 * `attempt`: a refresh is under way by this name; the same is sent again until it is answered. `last`: the one that was
 * answered last. `refreshToken` is null where a cookie holds it. `devices`: on which device somebody was signed in before, by what they signed in with.
 * `ending`: signed out here, not told the server yet.
 */
export interface Kept {
  readonly signed: Signed | null;
  readonly over: boolean;
  readonly refreshToken: string | null;
  readonly attempt: string | null;
  readonly last?: string | null;
  readonly devices: { readonly [login: string]: string };
  readonly ending: boolean;
}

export const NOTHING: Kept = {
  signed: null,
  over: false,
  refreshToken: null,
  attempt: null,
  devices: {},
  ending: false,
};

export interface Keep {
  read(): Promise<Kept>;
  write(kept: Kept): Promise<void>;
}

/** Kept as long as the program runs. */
export function memoryKeep(): Keep {
  let kept = NOTHING;
  return {
    read: async () => structuredClone(kept),
    write: async (value) => {
      kept = structuredClone(value);
    },
  };
}

/** Kept in an IndexedDB database of its own, for pages and service workers alike. */
export function databaseKeep(name: string): Keep {
  return {
    read: async () =>
      ((await request(name, "readonly", (store) => store.get("session"))) as Kept | undefined) ?? NOTHING,
    write: async (kept) => {
      await request(name, "readwrite", (store) => store.put(kept, "session"));
    },
  };
}

/** One request in a transaction, kept when that is committed; opened for each, so there is nothing to be closed. */
function request(name: string, mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  return new Promise((done, fail) => {
    const refuse = () => fail(new StoreError("this browser keeps no data"));
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
    opening.onerror = refuse;
    opening.onsuccess = () => {
      const db = opening.result;
      const transaction = db.transaction("kept", mode, { durability: "strict" });
      const asked = ask(transaction.objectStore("kept"));
      const end = (finish: () => void) => () => {
        db.close();
        finish();
      };
      transaction.oncomplete = end(() => done(asked.result));
      transaction.onabort = end(refuse);
    };
  });
}
