/**
 * Backoff: how long to leave a server alone that does not answer, so that a thousand tills do not come back at once.
 */
import type { Options } from "./options";

const MOST_DOUBLINGS = 30;

/** Exponential, with full jitter: anything between nothing and the bound is equally likely. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly options: Options,
    private readonly random: () => number,
  ) {}

  /** The server answered. */
  reset(): void {
    this.failures = 0;
  }

  /** Seconds to wait after one more failure; never less than the server asked for. */
  nextS(retryAfterS: number | null): number {
    const doubled = this.options.backoffBaseS * 2 ** Math.min(this.failures, MOST_DOUBLINGS);
    this.failures += 1;
    const asked = Math.min(retryAfterS ?? 0, this.options.retryAfterCapS);
    return asked + this.random() * Math.min(this.options.backoffCapS, doubled);
  }
}
