/** A push subscription in the server's words, for pages and the worker alike. */
import type { Session } from "../client/door";
import type { Json } from "../client/shape";

export const PLACE = "/v1/webpush/subscription";

/** What the server has of this device; null where it has none. */
export interface Known {
  readonly endpoint: string;
  readonly public_key: string;
  readonly lang: string;
  readonly kinds: Json;
  readonly quiet: Json;
}

export async function knownSubscription(session: Session): Promise<Known | null> {
  return (await session.ask<{ readonly subscription: Known | null }>("GET", PLACE)).subscription;
}

/** Tell the server of it; what the device had asked for before stays as it was. */
export async function putSubscription(session: Session, subscription: PushSubscription, before: Partial<Known>): Promise<void> {
  const { endpoint, keys } = subscription.toJSON();
  const publicKey = keyText(subscription.options.applicationServerKey);
  const { lang = "it", kinds = null, quiet = null } = before;
  const given = { endpoint: endpoint ?? "", keys: { p256dh: keys?.["p256dh"] ?? "", auth: keys?.["auth"] ?? "" } };
  await session.ask("PUT", PLACE, { ...given, public_key: publicKey, lang, kinds, quiet });
}

/** A key as it stands on the wire: base64url without padding. */
export function keyText(key: ArrayBuffer | null): string {
  const bytes = String.fromCharCode(...new Uint8Array(key ?? new ArrayBuffer(0)));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
