/** Whether a newer build of the app waits to be taken. */
import { signal } from "@preact/signals";

export const updateWaits = signal(false);
