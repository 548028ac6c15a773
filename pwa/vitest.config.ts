import { defineConfig } from "vitest/config";

// `peer` tests speak to a real server, which pytest starts: `tests/pwa`.
export default defineConfig({
  test: {
    environment: "node",
    include: [process.env["RIENTRO_PEER"] ? "src/**/*.peer.ts" : "src/**/*.test.ts"],
    pool: "threads",
    maxWorkers: 1,
    isolate: false,
    testTimeout: 200_000,
    hookTimeout: 200_000,
  },
});
