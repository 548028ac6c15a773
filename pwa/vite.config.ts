import { defineConfig } from "vite";
import { serviceWorker } from "./build/worker.ts";

// What is built is what the server serves at `/`, so there are no addresses of another origin and no inline scripts.
export default defineConfig({
  plugins: [serviceWorker("src/worker/sw.ts")],
  build: {
    outDir: "../server/static",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Dexie apart, else what the app shares with the store is bundled with it, and the first screen waits for both.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "indexeddb", test: /node_modules\/dexie/ }] } } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
