import { resolve } from "node:path";
import { defineConfig } from "vite";
import { serviceWorker } from "./build/worker.ts";

// The page that browser tests drive the client library through, with the worker the app has; it is in no release.
export default defineConfig({
  root: "testpage",
  plugins: [serviceWorker(resolve(import.meta.dirname, "src/worker/sw.ts"))],
  build: {
    outDir: "../node_modules/.testpage",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
