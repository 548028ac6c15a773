/** A push service that ended a subscription: subscribe anew at once. Where that fails, the app does at its next start. */
import { sessionOf } from "./queue";
import { SCOPE, type Resubscribed } from "./scope";
import { knownSubscription, putSubscription } from "./subscription";
import { toldByPage } from "./told";

export async function renewSubscription(event: Resubscribed): Promise<void> {
  const whose = await toldByPage();
  const fresh = event.newSubscription ?? (await subscribedLike(event.oldSubscription ?? null));
  if (whose === null || fresh === null) return;
  const session = await sessionOf(whose);
  await putSubscription(session, fresh, (await knownSubscription(session)) ?? {});
}

async function subscribedLike(old: PushSubscription | null): Promise<PushSubscription | null> {
  const applicationServerKey = old?.options.applicationServerKey ?? null;
  if (applicationServerKey === null) return null;
  return SCOPE.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
}
