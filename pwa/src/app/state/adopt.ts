/**
 * Coming back from an OpenID provider: the refresh token is in this browser's cookie already, and nobody told the
 * session who it is. The token is spent for the next one, and who it is written where the session is kept.
 */
import { databaseKeep } from "../../client";

interface Issued {
  readonly tenant_id: string;
  readonly device_id: string;
  readonly person_id: string | null;
  readonly session_id: string | null;
}

/** Take the cookie's sign-in for this device's; where there is none, nothing changes. */
export async function adoptCookie(): Promise<void> {
  const attempt = crypto.randomUUID();
  const headers = { "X-Rientro": "1", "Content-Type": "application/json" };
  const answer = await fetch("/v1/auth/refresh", { method: "POST", headers, body: JSON.stringify({ attempt }) }).catch(
    () => null,
  );
  if (answer?.status !== 200) return;
  const issued = (await answer.json()) as Issued;
  const keep = databaseKeep("rientro-session");
  const signed = {
    tenantId: issued.tenant_id,
    deviceId: issued.device_id,
    personId: issued.person_id,
    sessionId: issued.session_id,
  };
  await keep.write({ ...(await keep.read()), signed, over: false, attempt: null, refreshToken: null, ending: false });
}
