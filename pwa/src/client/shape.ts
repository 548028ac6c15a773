/** The words that generated types are made of: values as the wire has them, and what is known of a collection. */

/** A uuid in lower case with dashes. */
export type Uuid = string;
/** An instant in UTC with milliseconds: `2026-11-23T09:14:58.201Z`. */
export type Instant = string;
/** A calendar day: `2026-11-23`. */
export type Day = string;
/** An exact decimal as text, `"12.50"`: never a number, which would round. See `decimal.ts` for cents and sums. */
export type Decimal = string;
/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** How two writers who did not see each other become one value; see `sync/policy.py`. */
export type Policy = "immutable" | "last_writer" | "counter" | "tag_set" | "manual" | "server_owned";
export type Kind = "uuid" | "instant" | "day" | "decimal" | "text" | "code" | "flag" | "integer" | "json";
export type Op = "create" | "update" | "delete" | "restore";

/**
 * What is known of a field. `default`: what a creation that does not say gives it. `digits` and `places` are those of
 * DECIMAL(digits, places).
 */
export interface FieldShape {
  readonly policy: Policy;
  readonly kind: Kind;
  readonly nullable: boolean;
  readonly default?: Json;
  readonly digits?: number;
  readonly places?: number;
}

/** What is known of a collection. `may`: which operations which role has. */
export interface CollectionShape {
  readonly schema: number;
  readonly fact: boolean;
  readonly concurrentDelete: string;
  readonly required: readonly string[];
  readonly units: { readonly [unit: string]: readonly string[] };
  readonly may: { readonly [role: string]: readonly string[] };
  readonly fields: { readonly [name: string]: FieldShape };
}
