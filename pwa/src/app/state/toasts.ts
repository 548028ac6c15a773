/** Toasts: short words about what was just done, one at a time, with at most one thing to do about it. */
import { signal } from "@preact/signals";

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly kind: "done" | "trouble";
  readonly action?: { readonly label: string; readonly run: () => void };
  /** For how long it is shown; one with an action tells by a bar how long that is still there. */
  readonly ms: number;
}

export const toast = signal<Toast | null>(null);
const USUAL_MS = 4_000;
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function tell(text: string, more: Partial<Omit<Toast, "id" | "text">> = {}): void {
  last += 1;
  const shown: Toast = { id: last, text, kind: "done", ms: USUAL_MS, ...more };
  toast.value = shown;
  clearTimeout(timer);
  timer = setTimeout(() => endToast(shown.id), shown.ms);
}

export function endToast(id: number): void {
  if (toast.value?.id === id) toast.value = null;
}
