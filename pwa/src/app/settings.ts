/** What this device was told about itself: small texts in localStorage, where losing one costs a choice and no data. */

const PREFIX = "rientro.";

export type Setting =
  "language" | "theme" | "rate" | `me/${string}` | `pin/${string}` | `day/${string}` | `push/${string}`;

/** Null where nothing was chosen, or the browser keeps nothing. */
export function readSetting(name: Setting): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function writeSetting(name: Setting, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // a full or closed browser: the choice holds until the page is closed
  }
}

export function removeSetting(name: Setting): void {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // nothing was kept there
  }
}
