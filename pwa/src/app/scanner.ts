/**
 * A barcode scanner that types: signs that come faster than fingers and end with Enter are a code, wherever the focus is
 * except in a field, which gets them as it gets everything that is typed.
 */

const FASTEST_FINGER_MS = 60;
const SHORTEST_CODE = 4;

export function listenToScanner(heard: (code: string) => void): () => void {
  let code = "";
  let lastMs = 0;
  const hear = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
    const isFast = event.timeStamp - lastMs < FASTEST_FINGER_MS;
    lastMs = event.timeStamp;
    if (event.key === "Enter" && isFast && code.length >= SHORTEST_CODE) {
      event.preventDefault(); // else it presses what has the focus
      heard(code);
      code = "";
    } else if (/^[\w.:-]$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      code = isFast ? code + event.key : event.key;
    } else if (event.key !== "Shift") code = "";
  };
  addEventListener("keydown", hear);
  return () => removeEventListener("keydown", hear);
}
