/** Colours: what the device prefers, unless it was told otherwise here. */
import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "../settings";

export type Theme = "auto" | "light" | "dark";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];
export const theme = signal<Theme>("auto");

export function paint(wanted: Theme): void {
  theme.value = wanted;
  document.documentElement.dataset["theme"] = wanted;
  writeSetting("theme", wanted);
}

export function paintAsBefore(): void {
  const kept = THEMES.find((one) => one === readSetting("theme"));
  if (kept !== undefined) paint(kept);
}
