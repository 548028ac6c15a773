/**
 * Push, from the page: asked for from a tap, compared with the server at every open.
 *
 * A browser may have lost its subscription, the server its key; either way the device would wait for messages that never
 * come. So both sides are read and put right, without asking anybody anything: that was done.
 */
import type { Session } from "../client/door";
import { keyText, knownSubscription, PLACE, putSubscription } from "./subscription";

const LIMIT_MS = 10_000; // a browser without a push service never answers

/** unsupported: not in this browser, or on iOS not before the app is on the home screen · off: could be asked for. */
export type PushState = "unsupported" | "denied" | "off" | "on";

interface Keys {
  readonly public_key: string;
  readonly older: readonly string[];
}

export async function pushState(registration: ServiceWorkerRegistration): Promise<PushState> {
  if (!("pushManager" in registration) || !("Notification" in globalThis)) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  return (await registration.pushManager.getSubscription()) === null ? "off" : "on";
}

/** Subscribe; call it from a tap. Throws what the session throws, and TimeoutError where the browser does not answer. */
export async function subscribePush(
  registration: ServiceWorkerRegistration,
  session: Session,
  lang: string,
): Promise<PushState> {
  const state = await pushState(registration);
  if (state === "unsupported" || state === "denied") return state;
  if ((await Notification.requestPermission()) !== "granted") return pushState(registration);
  const { public_key } = await session.ask<Keys>("GET", "/v1/webpush/key");
  await putSubscription(session, await subscribed(registration, public_key), { lang });
  return "on";
}

export async function unsubscribePush(registration: ServiceWorkerRegistration, session: Session): Promise<void> {
  await (await registration.pushManager.getSubscription())?.unsubscribe();
  await session.ask("DELETE", PLACE);
}

/** At every open: make browser and server agree. Throws what the session throws. */
export async function checkPush(registration: ServiceWorkerRegistration, session: Session): Promise<void> {
  if ((await pushState(registration)) !== "on") return;
  const mine = await registration.pushManager.getSubscription();
  if (mine === null) return;
  const [keys, known] = await Promise.all([session.ask<Keys>("GET", "/v1/webpush/key"), knownSubscription(session)]);
  const key = keyText(mine.options.applicationServerKey);
  if (key !== keys.public_key) {
    await mine.unsubscribe(); // also for an older key: it will not be good for ever
    await putSubscription(session, await subscribed(registration, keys.public_key), known ?? {});
  } else if (known?.endpoint !== mine.endpoint) await putSubscription(session, mine, known ?? {});
}

async function subscribed(registration: ServiceWorkerRegistration, applicationServerKey: string): Promise<PushSubscription> {
  const subscribing = registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  return Promise.race([subscribing, tooLate()]);
}

function tooLate(): Promise<never> {
  const error = new DOMException("the browser's push service does not answer", "TimeoutError");
  return new Promise((_done, fail) => setTimeout(() => fail(error), LIMIT_MS));
}
