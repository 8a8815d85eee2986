// Bundles src/main.ts and the programs that it starts to dist/. The bundle of the commands is split in chunks, so that a
// command loads only what it uses: the MCP server answers tools/list before any database client, YAML reader or runtime
// is read from disk.
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { dashboardPage } from "./lib/dashboard-page.mjs";
import { withLayers } from "./lib/layers.mjs";
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
 * zod compiles each object schema at its first use, with `new Function`. A server uses most of its schemas once or a few
 * times, for which compiling takes longer than interpreting them.
 */
const withoutSchemaCompiler = {
  name: "without-schema-compiler",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]core[\\/]core\.js$/ }, ({ path }) => ({
      contents: `${readFileSync(path, "utf8")}\nglobalConfig.jitless = true;\n`,
    }));
  },
};

/**
 * pg looks for Cloudflare's runtime with a `Response`, for which Node.js 20 loads its HTTP client: 30 ms of processor time
 * in each server whose stack has a PostgreSQL.
 */
const withoutCloudflare = {
  name: "without-cloudflare",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]pg[\\/]lib[\\/]stream\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const contents = source.replace("function isCloudflareRuntime() {", "$&\n  return false");
      if (contents === source) throw new Error(`${path} has no function isCloudflareRuntime`);
      return { contents };
    });
  },
};

/**
 * The program that users run, and those that it starts in other processes and threads. Each is one CommonJS file, because
 * opening chunks and Node's loader of ES modules delay a start.
 */
const PROGRAMS = {
  stackwarden: "src/main.ts",
  watchdog: "src/runtimes/local/watchdog-main.ts",
  "network-agent": "src/runtimes/local/network-agent-main.ts",
  "docker-watchdog": "src/runtimes/docker/docker-watchdog-main.ts",
  "load-worker": "src/load-worker.ts",
};

/** What the programs load from the chunks. */
const LOADED = { "run-command": "src/run-command.ts", "run-server": "src/run-server.ts", pino: "pino" };

const withoutLoaded = {
  name: "without-loaded",
  setup({ onResolve }) {
    onResolve({ filter: /^(\.\/run-(command|server)\.js|pino)$/ }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path: `./chunks/${basename(path, ".js")}.mjs`, external: true } : undefined,
    );
  },
};

/**
 * @param {string} outdir absolute
 * @returns {Promise<import("esbuild").Metafile>}
 */
export async function build(outdir) {
  const { build: bundle } = await import("esbuild");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  rmSync(outdir, { recursive: true, force: true });
  /** @type {import("esbuild").BuildOptions & { metafile: true }} */
  const options = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    platform: "node",
    target: "node20.19",
    minify: false,
    keepNames: false,
    legalComments: "none",
    sourcemap: false,
    metafile: true,
    // Its main file is UMD, which cannot be bundled.
    alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
    logLevel: "warning",
    // Native modules that their packages load when they are installed; the bundle works without them.
    external: ["pg-native"],
  };
  const define = { __STACKWARDEN_VERSION__: JSON.stringify(version) };
  const results = await Promise.all([
    bundle({
      ...options,
      entryPoints: PROGRAMS,
      format: "cjs",
      plugins: [withoutAjv, withoutSessions, withoutLoaded],
      define: { ...define, "import.meta.url": "__stackwardenUrl" },
      banner: { js: '"use strict"; const __stackwardenUrl = require("node:url").pathToFileURL(__filename).href;' },
    }),
    withLayers(bundle, {
      ...options,
      entryPoints: LOADED,
      outdir: join(outdir, "chunks"),
      outExtension: { ".js": ".mjs" },
      format: "esm",
      splitting: true,
      chunkNames: "[name]-[hash]",
      plugins: [withoutAjv, withoutSessions, withoutSchemaCompiler, withoutCloudflare],
      define,
      // CommonJS packages in the bundle call require() for Node's own modules.
      banner: {
        js: 'import { createRequire as __stackwardenRequire } from "node:module"; const require = __stackwardenRequire(import.meta.url);',
      },
    }).then(bundle),
  ]);
  const metafile = {
    inputs: Object.assign({}, ...results.map((result) => result.metafile.inputs)),
    outputs: Object.assign({}, ...results.map((result) => result.metafile.outputs)),
  };
  // The package is of type "module".
  writeFileSync(join(outdir, "package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);
  chmodSync(join(outdir, "stackwarden.js"), 0o755);
  if (existsSync(join(root, "stacks"))) cpSync(join(root, "stacks"), join(outdir, "stacks"), { recursive: true });
  writeFileSync(join(outdir, "dashboard.html"), await dashboardPage());
  writeFileSync(join(outdir, "THIRD_PARTY_NOTICES.txt"), `${licenceNotices(root, metafile)}\n`);
  return metafile;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const started = performance.now();
  await build(join(root, "dist"));
  say(`built dist in ${Math.round(performance.now() - started)} ms`);
}
