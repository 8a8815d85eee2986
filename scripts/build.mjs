// Bundles src/main.ts to dist/stackwarden.js. Chunks are split so that a command loads only what it uses:
// the MCP server answers tools/list before any database client, YAML reader or runtime is read from disk.
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dashboardPage } from "./lib/dashboard-page.mjs";
import { licenceNotices } from "./lib/notices.mjs";
import { root, say } from "./lib/run.mjs";

/**
 * The SDK imports its JSON Schema validator even when another one is passed in (src/mcp/server.ts). Leaving it out
 * removes a quarter of what the MCP server loads.
 */
const withoutAjv = {
  name: "without-ajv",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^ajv(-formats)?$/ }, ({ path }) => ({ path, namespace: "without-ajv" }));
    onLoad({ filter: /.*/, namespace: "without-ajv" }, () => ({
      contents: 'export default function () { throw new Error("No JSON Schema validator is bundled."); }',
    }));
  },
};

/**
 * The container engine's client can serve BuildKit over gRPC and connect with its SSH library; builds go
 * through the engine or the Docker CLI, and SSH through the user's `ssh`, so that neither is used.
 */
const withoutSessions = {
  name: "without-sessions",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(@grpc\/(grpc-js|proto-loader)|protobufjs|ssh2|cpu-features)(\/|$)/ }, ({ path }) => ({
      path,
      namespace: "without-sessions",
    }));
    onLoad({ filter: /.*/, namespace: "without-sessions" }, () => ({ contents: "export const Client = undefined;" }));
  },
};

/**
 * @param {string} outdir absolute
 * @returns {Promise<import("esbuild").Metafile>}
 */
export async function build(outdir) {
  const { build: bundle } = await import("esbuild");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const entryPoints = { stackwarden: join(root, "src", "main.ts") };
  const watchdog = join(root, "src", "runtimes", "local", "watchdog-main.ts");
  if (existsSync(watchdog)) entryPoints.watchdog = watchdog;
  entryPoints["network-agent"] = join(root, "src", "runtimes", "local", "network-agent-main.ts");
  entryPoints["docker-watchdog"] = join(root, "src", "runtimes", "docker", "docker-watchdog-main.ts");
  const loadWorker = join(root, "src", "load-worker.ts");
  if (existsSync(loadWorker)) entryPoints["load-worker"] = loadWorker;
  rmSync(outdir, { recursive: true, force: true });
  const result = await bundle({
    absWorkingDir: root,
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    chunkNames: "chunks/[name]-[hash]",
    minify: false,
    keepNames: false,
    legalComments: "none",
    sourcemap: false,
    metafile: true,
    // Its main file is UMD, which cannot be bundled.
    alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
    plugins: [withoutAjv, withoutSessions],
    logLevel: "warning",
    // Native modules that their packages load when they are installed; the bundle works without them.
    external: ["pg-native"],
    define: { __STACKWARDEN_VERSION__: JSON.stringify(version) },
    // CommonJS packages in the bundle call require() for Node's own modules.
    banner: {
      js: 'import { createRequire as __stackwardenRequire } from "node:module"; const require = __stackwardenRequire(import.meta.url);',
    },
  });
  chmodSync(join(outdir, "stackwarden.js"), 0o755);
  if (existsSync(join(root, "stacks"))) cpSync(join(root, "stacks"), join(outdir, "stacks"), { recursive: true });
  writeFileSync(join(outdir, "dashboard.html"), await dashboardPage());
  writeFileSync(join(outdir, "THIRD_PARTY_NOTICES.txt"), `${licenceNotices(root, result.metafile)}\n`);
  return result.metafile;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const started = performance.now();
  await build(join(root, "dist"));
  say(`built dist in ${Math.round(performance.now() - started)} ms`);
}
