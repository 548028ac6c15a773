/** What a client can be told beside where its server is. */
import { SCHEMA } from "./generated/collections";

export const MAX_MUTATIONS = 1000;
export const MAX_PAGE = 1000;
export const MAX_BODY_BYTES = 4 * 1024 * 1024;
export const MAX_MUTATION_BYTES = 256 * 1024;
const ENVELOPE_BYTES = 32 * 1024; // everything beside the mutations and the cursor

/**
 * `collections` are pulled; `batch` mutations go into a request, `page` changes come back at most; `bodyBytes` is what
 * mutations and cursor have of a request.
 *
 * `intervalS`: an idle loop looks for news that often. Backoff waits a random part of `backoffBaseS` doubled with every
 * failure, up to `backoffCapS`; a server's Retry-After is honoured up to `retryAfterCapS`. A stream that is silent for
 * `liveSilenceS` is taken for dead. `schema` is what the app was built against.
 */
export interface Options {
  readonly collections: readonly string[];
  readonly batch: number;
  readonly page: number;
  readonly bodyBytes: number;
  readonly gzipOverBytes: number;
  readonly intervalS: number;
  readonly backoffBaseS: number;
  readonly backoffCapS: number;
  readonly retryAfterCapS: number;
  readonly timeoutS: number;
  readonly liveSilenceS: number;
  readonly schema: number | null;
}

const USUAL: Options = {
  collections: [],
  batch: 200,
  page: MAX_PAGE,
  bodyBytes: MAX_BODY_BYTES - ENVELOPE_BYTES,
  gzipOverBytes: 2048,
  intervalS: 30,
  backoffBaseS: 0.5,
  backoffCapS: 60,
  retryAfterCapS: 3600,
  timeoutS: 30,
  liveSilenceS: 75,
  schema: SCHEMA,
};

/** The usual options with some replaced. Throws RangeError for what no server would take. */
export function optionsOf(some: Partial<Options>): Options {
  const options = { ...USUAL, ...some };
  const fits = (value: number, most: number) => Number.isInteger(value) && 1 <= value && value <= most;
  if (!fits(options.batch, MAX_MUTATIONS) || !fits(options.page, MAX_PAGE)) {
    throw new RangeError(`batch goes up to ${MAX_MUTATIONS}, page up to ${MAX_PAGE}`);
  }
  return options;
}
