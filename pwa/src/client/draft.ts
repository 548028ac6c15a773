/**
 * Drafts, checked and written down before they become mutations. Values are in the wire's form: a number that is no
 * whole one is refused wherever it hides, for what it would do to money. A mutation's size is checked when it is made:
 * later nobody could do anything about it.
 */
import { InvalidMutationError, MutationTooLargeError } from "./errors";
import { MAX_MUTATION_BYTES } from "./options";
import type { Json } from "./shape";
import type { AnyDraft, Content, Fields } from "./types";

const DECIMAL = /^-?[0-9]{1,30}(?:\.[0-9]{1,30})?$/;
const NUMBERING_BYTES = 64; // what the envelope's number adds when it is sent
const DEEPEST = 32;
const LONE_SURROGATE = /\p{Surrogate}/u;
const ENCODER = new TextEncoder();

/** A draft's own part of a mutation. Throws InvalidMutationError. */
export function contentOf(draft: AnyDraft): Omit<Content, "uid"> {
  const fields = partOf(draft.fields, (value, place) => wireValue(value, place), "fields");
  const increments = partOf(draft.increments, deltaOf, "increments");
  const adds = partOf(draft.adds, tagsOf, "adds");
  const removes = partOf(draft.removes, tagsOf, "removes");
  return {
    collection: draft.collection,
    op: draft.op,
    ...(fields === null ? {} : { fields }),
    ...(increments === null ? {} : { increments }),
    ...(adds === null ? {} : { adds }),
    ...(removes === null ? {} : { removes }),
    ...(draft.actor === undefined ? {} : { actor: draft.actor }),
  };
}

/** See that a mutation can be sent. Throws MutationTooLargeError. */
export function checkSize(content: Content): void {
  const size = ENCODER.encode(JSON.stringify(content)).length + NUMBERING_BYTES;
  if (size > MAX_MUTATION_BYTES) {
    throw new MutationTooLargeError(`a mutation holds at most ${MAX_MUTATION_BYTES} bytes; this one has ${size}`);
  }
}

function partOf<T>(given: object | undefined, read: (value: unknown, place: string) => T, part: string) {
  const entries = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return null;
  return Object.fromEntries(entries.map(([name, value]) => [nameOf(name, part), read(value, `${part}.${name}`)]));
}

/** The value, copied. Throws InvalidMutationError naming the place, never the value. */
function wireValue(value: unknown, place: string, depth = 0): Json {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return wellFormed(value, place);
  if (typeof value === "number" && Number.isSafeInteger(value) && !Object.is(value, -0)) return value;
  if (depth >= DEEPEST) throw new InvalidMutationError(`${place}: nested too deeply`);
  if (Array.isArray(value)) return value.map((part, index) => wireValue(part, `${place}.${index}`, depth + 1));
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    const parts = Object.entries(value).filter(([, part]) => part !== undefined);
    return Object.fromEntries(
      parts.map(([name, part]) => [nameOf(name, place), wireValue(part, `${place}.${name}`, depth + 1)]),
    ) satisfies Fields;
  }
  throw new InvalidMutationError(`${place}: a mutation holds no ${typeof value} of this kind`);
}

function nameOf(name: string, place: string): string {
  return wellFormed(name, `${place}: a name`);
}

function wellFormed(text: string, place: string): string {
  if (LONE_SURROGATE.test(text)) throw new InvalidMutationError(`${place}: this cannot be written as JSON`);
  return text;
}

function deltaOf(value: unknown, place: string): string {
  if (typeof value !== "string" || !DECIMAL.test(value)) {
    throw new InvalidMutationError(`${place}: an increment is a decimal, as text`);
  }
  return value;
}

function tagsOf(value: unknown, place: string): readonly string[] {
  if (!Array.isArray(value) || !value.every((tag) => typeof tag === "string")) {
    throw new InvalidMutationError(`${place}: tags are a list of texts`);
  }
  return value.map((tag: string) => wellFormed(tag, place));
}
