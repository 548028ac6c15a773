/** What the client takes from the outside world: time, sleep, chance and the network, all of which can be handed in. */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** `clockMs` is this device's own clock, right or wrong; `random` gives 0 ≤ x < 1. */
export interface Runtime {
  readonly clockMs: () => number;
  /** Wait that many seconds, or less where `signal` says so; never throws. */
  readonly sleep: (seconds: number, signal?: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly randomBytes: (count: number) => Uint8Array<ArrayBuffer>;
  readonly fetch: Fetch;
}

function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal?.aborted === true) return done();
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      done();
    };
    const timer = setTimeout(finish, seconds * 1000);
    signal?.addEventListener("abort", finish);
  });
}

/** The browser's, or Node's. */
export const REAL: Runtime = {
  clockMs: () => Date.now(),
  sleep,
  random: () => Math.random(),
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  fetch: (url, init) => fetch(url, init),
};

/** A new id: time first (RFC 9562, version 7), so that ids made one after the other sort that way. */
export function uuid7(runtime: Runtime): string {
  const bytes = runtime.randomBytes(16);
  let ms = Math.floor(runtime.clockMs());
  for (let at = 5; at >= 0; at -= 1, ms = Math.floor(ms / 256)) bytes[at] = ms % 256;
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = hexOf(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** A correlation id for one request, or another random name: 32 hexadecimal digits. */
export function randomId(runtime: Runtime): string {
  return hexOf(runtime.randomBytes(16));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
