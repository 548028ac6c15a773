/**
 * Digest: whether two sides have the same records of a bucket, told by one number, as `sync/digest.py` makes it: the
 * sum, modulo 2^52, of a hash of each live record's collection, id and version. Such a sum is exact in a double, and
 * of two of them as well.
 */
import { sha256 } from "./sha256";

export const MODULUS = 2 ** 52;

/** The first 52 bits of SHA-256 over the three, a line each. */
export function recordHash(collection: string, recordId: string, version: number): number {
  const [first, second] = sha256(`${collection}\n${recordId}\n${version}`);
  return first! * 2 ** 20 + (second! >>> 12);
}

/** The sum of two digests. */
export function plus(one: number, other: number): number {
  return (one + other) % MODULUS;
}

/** What takes a digest out of a sum again. */
export function minus(one: number, other: number): number {
  return (one - other + MODULUS) % MODULUS;
}
