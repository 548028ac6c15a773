/** What the server offers to sign in by, and the ceremonies of a browser around it. */
import { ClientError, type Json, type Session } from "../../client";
import { words } from "../words";

export interface Ways {
  readonly password: boolean;
  readonly passkey: boolean;
  readonly pairing: boolean;
  readonly oidc: { readonly issuer: string; readonly start: string } | null;
}

/** Null where the server does not answer. */
export async function askWays(): Promise<Ways | null> {
  const answer = await fetch("/v1/auth/ways", { cache: "no-store" }).catch(() => null);
  return answer?.ok === true ? ((await answer.json().catch(() => null)) as Ways | null) : null;
}

/** Where the browser is sent for the company's account; it comes back to `/#rientrato`. */
export function oidcHref(start: string, deviceName: string): string {
  const named = deviceName.trim() === "" ? {} : { device_name: deviceName.trim() };
  return `${start}?${new URLSearchParams({ then: "/#rientrato", ...named }).toString()}`;
}

/** Whether this browser makes and uses passkeys, and says so in JSON. */
export function hasPasskeys(): boolean {
  return typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential;
}

/** Sign in by a passkey. Throws AccessError, TroubleError; DOMException where the person turned back. */
export async function enterByPasskey(session: Session, deviceName: string): Promise<void> {
  const answer = await fetch("/v1/auth/passkey/options", { method: "POST", headers: { "X-Rientro": "1" } });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await answer.json());
  const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null;
  const named = deviceName.trim() === "" ? {} : { device_name: deviceName.trim() };
  await session.enter("/v1/auth/passkey/sign-in", {
    credential: (credential?.toJSON() ?? null) as unknown as Json,
    ...named,
  });
}

/** Make a passkey for who is signed in. Throws as above. */
export async function makePasskey(session: Session, name: string): Promise<void> {
  const options = await session.ask<unknown>("POST", "/v1/auth/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON);
  const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
  await session.ask("POST", "/v1/auth/passkeys", {
    name,
    credential: (credential?.toJSON() ?? null) as unknown as Json,
  });
}

/** Why it was refused, in words. */
export function sayWhy(error: unknown): string {
  const t = words.value.entry;
  if (error instanceof ClientError) return t.errors[error.reason ?? ""] ?? t.errors[error.code] ?? t.otherError;
  if (error instanceof DOMException) return t.passkeyCancelled;
  return t.errors["unreachable"] ?? t.otherError;
}

/** Do something that may be refused, and say why it was. */
export async function working(
  busy: { value: boolean },
  fault: { value: string | null },
  work: () => Promise<unknown>,
): Promise<boolean> {
  if (busy.value) return false;
  busy.value = true;
  fault.value = null;
  try {
    await work();
    return true;
  } catch (error) {
    fault.value = sayWhy(error);
    return false;
  } finally {
    busy.value = false;
  }
}
