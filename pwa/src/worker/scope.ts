/** What is needed of the place where a service worker runs; the DOM's types know pages only. */

export interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

export interface Fetched extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

export interface Synced extends Extendable {
  readonly tag: string;
  readonly lastChance: boolean;
}

/** `notification`: a browser that knows Declarative Web Push has read the message already and shows it by itself. */
export interface Pushed extends Extendable {
  readonly data: { text(): string } | null;
  readonly notification?: Notification | null;
}

export interface Clicked extends Extendable {
  readonly notification: Notification;
}

export interface Resubscribed extends Extendable {
  readonly oldSubscription?: PushSubscription | null;
  readonly newSubscription?: PushSubscription | null;
}

export interface Told extends Extendable {
  readonly data: unknown;
}

/** A tab. */
export interface Tab {
  readonly url: string;
  readonly visibilityState: DocumentVisibilityState;
  focus(): Promise<Tab>;
  postMessage(message: unknown): void;
}

interface Events {
  readonly install: Extendable;
  readonly activate: Extendable;
  readonly fetch: Fetched;
  readonly message: Told;
  readonly sync: Synced;
  readonly push: Pushed;
  readonly pushsubscriptionchange: Resubscribed;
  readonly notificationclick: Clicked;
}

export interface Scope {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: {
    claim(): Promise<void>;
    matchAll(options: { readonly type: "window"; readonly includeUncontrolled: boolean }): Promise<readonly Tab[]>;
    openWindow(url: string): Promise<Tab | null>;
  };
  skipWaiting(): Promise<void>;
  addEventListener<E extends keyof Events>(kind: E, hear: (event: Events[E]) => void): void;
}

/** This worker. */
export const SCOPE = globalThis as unknown as Scope;
