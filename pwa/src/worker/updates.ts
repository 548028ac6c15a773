/**
 * Updates: a new build is loaded beside the old one and waits. It takes over when a person says so, and only where nothing
 * is lost by the reload: no form begun, nothing on its way to the disk. Another tab that was not clean when one of them
 * updated goes on as it is, and is told that it should be reloaded.
 *
 *     none ──found──▶ waiting ◀──apply, not in control for long──▶ applying ──in control──▶ (reload) | stale
 */
import { SKIP_WAITING } from "./words";

export type UpdateState = "none" | "waiting" | "applying" | "stale";

const OFTEN_MS = 60 * 60 * 1000;
const PATIENCE_MS = 10_000; // the worker before may be busy for longer: then it can be asked again

export class Updates {
  state: UpdateState = "none";
  private readonly hearers = new Set<(state: UpdateState) => void>();
  private lookedMs = Date.now();
  private hadWorker = navigator.serviceWorker.controller !== null;

  constructor(
    private readonly registration: ServiceWorkerRegistration,
    private readonly isClean: () => boolean,
  ) {
    this.look();
    registration.addEventListener("updatefound", () => this.follow(registration.installing));
    this.follow(registration.installing);
    navigator.serviceWorker.addEventListener("controllerchange", () => this.taken());
    document.addEventListener("visibilitychange", () => void this.askSometimes());
  }

  /** Hear of every state, the present one at once. */
  subscribe(hear: (state: UpdateState) => void): () => void {
    this.hearers.add(hear);
    hear(this.state);
    return () => this.hearers.delete(hear);
  }

  /** Take the new build over now. False, and nothing happens, where something would be lost by it. */
  apply(): boolean {
    if (!this.isClean()) return false;
    if (this.state === "stale") location.reload();
    else if (this.registration.waiting !== null) {
      this.enter("applying");
      this.registration.waiting.postMessage(SKIP_WAITING);
      setTimeout(() => this.state === "applying" && this.enter("waiting"), PATIENCE_MS);
    }
    return true;
  }

  /** Ask the server for a new build. */
  async ask(): Promise<void> {
    this.lookedMs = Date.now();
    await this.registration.update().catch(() => undefined); // no network, or the build is just being replaced
  }

  private async askSometimes(): Promise<void> {
    if (document.visibilityState === "visible" && Date.now() - this.lookedMs > OFTEN_MS) await this.ask();
  }

  private follow(worker: ServiceWorker | null): void {
    worker?.addEventListener("statechange", () => this.look());
  }

  /** Only what waits beside a worker in control is an update; the first one just starts. */
  private look(): void {
    if (this.registration.waiting !== null && navigator.serviceWorker.controller !== null) this.enter("waiting");
  }

  private taken(): void {
    const first = !this.hadWorker;
    this.hadWorker = true;
    if (first) return;
    if (this.isClean()) location.reload();
    else this.enter("stale");
  }

  private enter(state: UpdateState): void {
    if (this.state === state) return;
    this.state = state;
    for (const hear of [...this.hearers]) hear(state);
  }
}
