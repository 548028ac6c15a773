/**
 * A push message as a notification. Every message shows one, whatever came: a browser takes the permission away from a
 * page whose pushes show nothing. The shape is Declarative Web Push's; `claude/integrations/webpush.md` has it whole.
 */
import { fileNamed } from "./shell";
import { SCOPE, type Clicked, type Pushed } from "./scope";
import type { Open } from "./words";

const MARK = 8030;
const PLAIN = { title: "rientro", body: "C’è una novità: tocca per vedere.", navigate: "/" };

interface Members {
  readonly [name: string]: unknown;
}

/** What to show; `badge` is null where nothing is said of it. */
export interface Notice {
  readonly title: string;
  readonly options: NotificationOptions;
  readonly badge: number | null;
}

/** Read a message; what cannot be read is told in plain words. */
export function noticeOf(text: string | null): Notice {
  const message = members(parsed(text));
  const said = message["web_push"] === MARK ? members(message["notification"]) : {};
  const badge = message["app_badge"];
  const lang = textOf(said["lang"]);
  return {
    title: textOf(said["title"]) ?? PLAIN.title,
    options: {
      body: textOf(said["title"]) === null ? PLAIN.body : (textOf(said["body"]) ?? ""),
      tag: textOf(said["tag"]) ?? "rientro",
      silent: said["silent"] === true,
      data: { ...members(said["data"]), navigate: pathOf(said["navigate"]) },
      ...(lang === null ? {} : { lang }),
    },
    badge: typeof badge === "number" && Number.isInteger(badge) && badge >= 0 ? badge : null,
  };
}

export async function showNotice(event: Pushed): Promise<void> {
  if (event.notification != null) return; // shown by the browser, badge and all
  const { title, options, badge } = noticeOf(event.data?.text() ?? null);
  if (badge !== null) await setBadge(badge);
  const icon = fileNamed("icon-192");
  await SCOPE.registration.showNotification(title, icon === undefined ? options : { ...options, icon });
}

/** Bring the app to the front, at what the notification is about. */
export async function openNotice(event: Clicked): Promise<void> {
  const { notification } = event;
  notification.close();
  const path = pathOf(members(notification.data)["navigate"]);
  const tabs = await SCOPE.clients.matchAll({ type: "window", includeUncontrolled: false });
  const tab = tabs.find((one) => one.visibilityState === "visible") ?? tabs[0];
  if (tab === undefined) await SCOPE.clients.openWindow(path);
  else {
    tab.postMessage({ kind: "open", path } satisfies Open); // first: a browser may refuse to bring it to the front
    await tab.focus();
  }
}

/** The number on the app's icon, where there is one. */
export async function setBadge(count: number): Promise<void> {
  await navigator.setAppBadge?.(count).catch(() => undefined); // an ornament: never in the way of what it tells
}

/** Where to go, on this origin and nowhere else. */
function pathOf(navigate: unknown): string {
  if (typeof navigate !== "string") return PLAIN.navigate;
  try {
    const url = new URL(navigate, location.origin);
    return /^https?:$/.test(url.protocol) ? url.pathname + url.search + url.hash : PLAIN.navigate;
  } catch {
    return PLAIN.navigate;
  }
}

function parsed(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}

function members(value: unknown): Members {
  return typeof value === "object" && value !== null ? (value as Members) : {};
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
