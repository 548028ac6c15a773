/** Which language the app speaks: Italian unless this device was told otherwise. English is loaded when asked for. */
import { signal } from "@preact/signals";
import { it, type Words } from "./it";
import { readSetting, writeSetting } from "../settings";

export type { Words } from "./it";
export type Language = "it" | "en";
export const LANGUAGES: readonly Language[] = ["it", "en"];

export const language = signal<Language>("it");
/** What is said: read it while drawing, and the drawing follows the language. */
export const words = signal<Words>(it);

/** Speak that language from now on, also after a restart. */
export async function speak(wanted: Language): Promise<void> {
  words.value = wanted === "en" ? (await import("./en")).en : it;
  language.value = wanted;
  document.documentElement.lang = wanted;
  writeSetting("language", wanted);
}

/** Speak what was chosen before. */
export async function speakAsBefore(): Promise<void> {
  if (readSetting("language") === "en") await speak("en").catch(() => undefined);
}
