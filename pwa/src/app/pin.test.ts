import { describe, expect, test } from "vitest";
import { FIRST_WAIT_MS, FREE, LONGEST_WAIT_MS, choosePin, faultOf, readPin, tryPin, waitMs } from "./pin";

const NOW = Date.parse("2026-11-24T10:00:00Z");
const FEW = 10; // iterations: the tests are about the rules, not about the cost

describe("a PIN", () => {
  test("opens by itself alone, and is not what is kept", async () => {
    const kept = await choosePin("2580", FEW);
    expect((await tryPin(kept, "2580", NOW)).opens).toBe(true);
    expect((await tryPin(kept, "2581", NOW)).opens).toBe(false);
    expect(JSON.stringify(kept)).not.toContain("2580");
  });

  test("is salted: the same PIN is kept otherwise every time", async () => {
    const [one, other] = [await choosePin("2580", FEW), await choosePin("2580", FEW)];
    expect(one.hash).not.toBe(other.hash);
  });

  test("costs more and more waiting after a few wrong ones, with a bound, and nothing once it was right", async () => {
    let kept = await choosePin("2580", FEW);
    const waits: number[] = [];
    let now = NOW;
    for (let failure = 1; failure <= 14; failure += 1) {
      ({ kept } = await tryPin(kept, "0000", now));
      waits.push(waitMs(kept, now));
      now += waitMs(kept, now);
    }
    expect(waits.slice(0, FREE - 1)).toEqual(Array.from({ length: FREE - 1 }, () => 0));
    expect(waits.slice(FREE - 1, FREE + 2)).toEqual([FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS]);
    expect(waits.at(-1)).toBe(LONGEST_WAIT_MS);
    const right = await tryPin(kept, "2580", now);
    expect([right.opens, right.kept.failures, waitMs(right.kept, now)]).toEqual([true, 0, 0]);
  });

  test("is not even compared while one has to wait", async () => {
    const kept = { ...(await choosePin("2580", FEW)), failures: FREE, until: NOW + 1000 };
    expect(await tryPin(kept, "2580", NOW)).toEqual({ opens: false, kept });
  });

  test("a clock that was set back makes nobody wait longer than the bound", async () => {
    const kept = { ...(await choosePin("2580", FEW)), until: NOW + 365 * 86_400_000 };
    expect(waitMs(kept, NOW)).toBe(LONGEST_WAIT_MS);
  });

  test("that everybody tries first is not taken", () => {
    expect(["1111", "1234", "9876", "123", "123456789", "12a4"].map(faultOf)).toEqual([
      "easy",
      "easy",
      "easy",
      "short",
      "short",
      "short",
    ]);
    expect(faultOf("2580")).toBeNull();
  });

  test("what was kept and is none is none", () => {
    expect([readPin(null), readPin("{"), readPin('{"a":1}')]).toEqual([null, null, null]);
  });
});
