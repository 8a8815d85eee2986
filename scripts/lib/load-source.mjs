// Loads TypeScript sources without a build: esbuild bundles them in memory.
import { fileURLToPath } from "node:url";

/** @param {string} contents a module that exports from "./src/…" */
export async function loadSource(contents) {
  const { build } = await import("esbuild");
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    logLevel: "error",
  });
  const code = Buffer.from(outputFiles[0].contents).toString("base64");
  return import(`data:text/javascript;base64,${code}`);
}
