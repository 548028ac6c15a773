/**
 * Seeded fault runs against the real server: three devices sell and edit while requests and answers are lost, cut and
 * refused, clocks are wrong, and devices are closed in the middle of an exchange and opened again. At the end nothing
 * is lost, nothing is double, and everybody sees the same. One device stands on IndexedDB. A failure names its seed.
 */
import "fake-indexeddb/auto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dexieStore } from "./dexie";
import type { SyncClient } from "./door";
import { ClientError } from "./errors";
import type { Collections } from "./generated/collections";
import { memoryStore } from "./memory";
import {
  clientOf,
  command,
  network,
  productFields,
  receipts,
  saleFields,
  seenBy,
  seenByPython,
  startServer,
  stopServer,
  upTo,
  type Fault,
  type Merchant,
} from "./peer";
import { seeded } from "./testing";
import type { Store } from "./store";

const STEPS = 50;
const FAULTS: readonly Fault[] = ["lose_request", "lose_answer", "busy", "cut_answer"];
const HOUR_MS = 3_600_000;

beforeAll(() => startServer());
afterAll(() => stopServer());

/** A device that is closed and opened again, with all that it told. */
class Device {
  client!: SyncClient<Collections>;
  sells = false;
  calm = false;
  sold = 0;
  increments = 0;
  private store: Store | null = null;

  constructor(
    private readonly key: string,
    private readonly name: string,
    private readonly random: () => number,
    private readonly open: () => Store,
  ) {}

  async start(): Promise<void> {
    this.store ??= this.open();
    const lasting = { ...this.store, read: this.store.read.bind(this.store), write: this.store.write.bind(this.store) };
    const store: Store = { ...lasting, close: async () => undefined };
    const skewMs = Math.round((this.random() - 0.5) * HOUR_MS);
    this.client = await clientOf(this.key, { fetch: network(() => this.fault()), seed: this.name, skewMs, store });
  }

  /** As when its page is closed: what is under way goes on at the server, and nobody hears it. */
  async restart(): Promise<void> {
    const cut = this.client.syncOnce().catch(() => undefined);
    await this.start();
    await cut;
  }

  private fault(): Fault {
    if (this.calm || this.random() < 0.6) return null;
    return FAULTS[Math.floor(this.random() * FAULTS.length)] ?? null;
  }
}

/** A till sells, an office edits; either may sync through its network, or be closed in the middle of it. */
async function step(device: Device, coffee: string, random: () => number): Promise<void> {
  const dice = random();
  if (dice < 0.1) return device.restart();
  if (dice < 0.5) {
    await device.client.syncOnce().catch((error: unknown) => expect(error).toBeInstanceOf(ClientError));
  } else if (device.sells) {
    await device.client.sell(saleFields());
    device.sold += 1;
  } else if (dice < 0.75) {
    await device.client.update("products", coffee, { category: `c${Math.floor(random() * 5)}` });
  } else {
    const tags = [`t${Math.floor(random() * 4)}`];
    await device.client.update("products", coffee, {}, { increments: { stock: "1" }, adds: { tags } });
    device.increments += 1;
  }
}

test.each([1, 2])("seed %d: nothing is lost, nothing is double, and everybody sees the same", async (seed) => {
  const random = seeded(`faults-${seed}`);
  const merchant = await command<Merchant>("take");
  const till = new Device(merchant.till, `till-${seed}`, random, () => dexieStore(`faults-${seed}`));
  till.sells = true;
  const devices = [
    till,
    new Device(merchant.owner, `office-${seed}`, random, memoryStore),
    new Device(merchant.owner, `home-${seed}`, random, memoryStore),
  ];
  for (const device of devices) await device.start();
  const office = devices[1]!;
  const coffee = (await office.client.create("products", productFields())).recordId;
  office.calm = true;
  await office.client.drain();
  office.calm = false;
  for (let at = 0; at < STEPS; at += 1) {
    await step(devices[Math.floor(random() * devices.length)]!, coffee, random);
  }
  for (const device of [...devices, ...devices]) {
    device.calm = true;
    await device.client.drain();
  }
  for (const device of devices) await device.client.drain();
  const seen = await seenBy(office.client);
  for (const device of devices) {
    expect(await seenBy(device.client)).toEqual(seen);
    expect(await device.client.status()).toMatchObject({ pending: 0, waiting: 0, rejected: 0, differences: 0 });
    expect(new Set((await device.client.entries()).map((entry) => entry.state)).size).toBeLessThanOrEqual(1);
  }
  expect(await seenByPython(merchant.owner)).toEqual(seen);
  expect(await receipts(office.client)).toEqual(upTo(till.sold));
  const stock = devices.reduce((sum, device) => sum + device.increments, 0);
  expect((await office.client.record("products", coffee))?.fields.stock).toBe(`${stock}.000`);
});
