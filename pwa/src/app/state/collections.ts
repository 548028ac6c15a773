/** The collections this app pulls: all that its build knows. */
import { COLLECTIONS, type Reconciliation } from "../../client";

export type {
  Closure,
  Collections as AppCollections,
  Invoice as AppInvoice,
  InvoiceAttachment as Attachment,
  Reconciliation,
} from "../../client";

/** Receipt numbers without a hole, both ends in it. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export const PULLED = Object.keys(COLLECTIONS);

/** Whether a closing does not add up and nobody said that it may. */
export function isOpenCheck(check: Pick<Reconciliation, "status" | "accepted">): boolean {
  return check.status === "open" && !check.accepted;
}
