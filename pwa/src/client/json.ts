/** Reading JSON that crossed the internet: each reader says what it wants and throws `ShapeError` where it is not. */
import type { Json } from "./shape";
import type { Fields } from "./types";

/** A member is not what the protocol says; the message names the member and never quotes it. */
export class ShapeError extends Error {}

export class Reader {
  private constructor(private readonly members: { readonly [name: string]: unknown }) {}

  /** Of a JSON object. */
  static of(value: unknown, place: string): Reader {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ShapeError(place);
    return new Reader(value as { readonly [name: string]: unknown });
  }

  text(name: string): string {
    const value = this.members[name];
    if (typeof value !== "string") throw new ShapeError(name);
    return value;
  }

  whole(name: string): number {
    const value = this.members[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new ShapeError(name);
    return value;
  }

  flag(name: string): boolean {
    const value = this.members[name];
    if (typeof value !== "boolean") throw new ShapeError(name);
    return value;
  }

  /** Null where it is null or absent. */
  maybe<T>(name: string, read: (name: string) => T): T | null {
    const value = this.members[name];
    return value === null || value === undefined ? null : read.call(this, name);
  }

  list<T>(name: string, read: (item: unknown) => T): T[] {
    const value = this.members[name];
    if (!Array.isArray(value)) throw new ShapeError(name);
    return value.map(read);
  }

  fields(name: string): Fields {
    const value = this.members[name];
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ShapeError(name);
    return value as { readonly [name: string]: Json };
  }
}

/** An item of a list of texts. */
export function textItem(value: unknown): string {
  if (typeof value !== "string") throw new ShapeError("item");
  return value;
}
