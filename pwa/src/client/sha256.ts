/**
 * SHA-256 (FIPS 180-4) of a text, at once: the browser's own answers later, and an IndexedDB transaction does not wait.
 * It tells copies of data apart; nothing secret passes here.
 */

const CUBES = roots(64, 3);
const SQUARES = roots(8, 2);
const ENCODER = new TextEncoder();

/** The digest's eight words of 32 bits. */
export function sha256(text: string): Uint32Array {
  const state = Uint32Array.from(SQUARES);
  const words = new Uint32Array(64);
  const view = padded(ENCODER.encode(text));
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let at = 0; at < 16; at += 1) words[at] = view.getUint32(block + at * 4);
    spread(words);
    compress(state, words);
  }
  return state;
}

function padded(bytes: Uint8Array): DataView {
  const filled = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  filled.set(bytes);
  filled[bytes.length] = 0x80;
  const view = new DataView(filled.buffer);
  view.setUint32(filled.length - 4, bytes.length * 8); // texts here are far shorter than 2^32 bits
  return view;
}

function spread(words: Uint32Array): void {
  for (let at = 16; at < 64; at += 1) {
    const near = words[at - 2]!;
    const far = words[at - 15]!;
    const one = turn(near, 17) ^ turn(near, 19) ^ (near >>> 10);
    const other = turn(far, 7) ^ turn(far, 18) ^ (far >>> 3);
    words[at] = one + words[at - 7]! + other + words[at - 16]!;
  }
}

function compress(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let at = 0; at < 64; at += 1) {
    const mixed = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g));
    const one = (h + mixed + CUBES[at]! + words[at]!) | 0;
    const other = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + other) | 0];
  }
  for (const [at, word] of [a, b, c, d, e, f, g, h].entries()) state[at] = state[at]! + word;
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

/** The first 32 bits of the fractions of the first primes' roots, which is where the constants come from. */
function roots(count: number, degree: 2 | 3): Uint32Array {
  const found: number[] = [];
  for (let n = 2; found.length < count; n += 1) {
    let prime = true;
    for (let by = 2; by * by <= n; by += 1) prime &&= n % by !== 0;
    if (prime) found.push(fractionOf(BigInt(n), BigInt(degree)));
  }
  return Uint32Array.from(found);
}

/** Exact: the whole root of n · 2^(32 · degree), of which the low 32 bits are the fraction. */
function fractionOf(n: bigint, degree: bigint): number {
  const wanted = n << (32n * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= wanted) low = middle;
    else high = middle;
  }
  return Number(low & 0xffff_ffffn);
}
