/** A till's API key as a bearer: good until it is revoked, and nothing to renew. */
import type { Bearer } from "./door";
import { SignedOutError } from "./errors";

const FORM = /^rnt_([0-9a-f]{32})_([0-9a-f]{32})_[0-9a-f]{64}$/;

export interface DeviceKey extends Bearer {
  /** Use another key from now on. */
  replace(key: string): void;
}

export function deviceKey(key: string): DeviceKey {
  const hearers = new Set<() => void>();
  let current = key;
  return {
    get owner() {
      const found = FORM.exec(current);
      return found === null ? null : `${found[1]}/${found[2]}/-`;
    },
    token: async () => current,
    async renew(refused) {
      if (refused !== current) return current;
      throw new SignedOutError("the server does not take this key");
    },
    subscribe(hear) {
      hearers.add(hear);
      return () => hearers.delete(hear);
    },
    replace(other) {
      current = other;
      for (const hear of [...hearers]) hear();
    },
  };
}
