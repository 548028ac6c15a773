/**
 * Vite's part in the service worker: after the app is built, `/sw.js` is built with the list of the app's files and a
 * version that is theirs, so that it changes whenever one of them does. Last, what is text is compressed beside itself:
 * the server sends that.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "vite";

const NAME = "sw.js";
const TEXT = /\.(html|js|css|svg|json|webmanifest)$/;
const NOT_KEPT = /\.(map|gz)$/;

/** `entry` is the worker's source. */
export function serviceWorker(entry: string): Plugin {
  let folder = "";
  return {
    name: "rientro:service-worker",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      const files = filesIn(folder).filter((file) => file !== NAME && !NOT_KEPT.test(file));
      await buildWorker(entry, folder, files);
      for (const file of [...files, NAME].filter((one) => TEXT.test(one))) compress(join(folder, file));
    },
  };
}

async function buildWorker(entry: string, folder: string, files: readonly string[]): Promise<void> {
  const urls = files.map((file) => `/${file}`);
  await build({
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    define: { __FILES__: JSON.stringify(urls), __VERSION__: JSON.stringify(versionOf(folder, files)) },
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: { input: entry, output: { format: "iife", entryFileNames: NAME } },
    },
  });
}

function versionOf(folder: string, files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update("\0").update(readFileSync(join(folder, file)));
  return hash.digest("hex").slice(0, 12);
}

function filesIn(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return found.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/")).sort();
}

function compress(path: string): void {
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
}
