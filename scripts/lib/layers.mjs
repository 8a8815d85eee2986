// Keeps the number of chunks small, because opening each takes time. esbuild makes a chunk of the modules that the same
// dynamic imports load; a hundred dynamic imports make hundreds of chunks. With layers, a dynamic import that loads one
// module of a layer loads all of them, so that esbuild makes one chunk of the layer.
import { join, relative, sep } from "node:path";

/**
 * The layers in the order in which they load: modules, with their static imports unless an earlier layer has them. A layer
 * contains what is loaded together; evaluating it must be cheap for every module that needs a part of it.
 */
const LAYERS = [
  // Connecting to a server, and showing answers.
  [
    "src/cli-host.ts",
    "src/cli/commands/ps.ts",
    "src/cli/daemon-client.ts",
    "src/cli/output/log-lines.ts",
    "src/cli/output/stack-table.ts",
    "src/cli/reporting-failure.ts",
    "src/config/state-dir.ts",
    "src/control/client.ts",
    "src/control/socket-path.ts",
    "src/daemon/connect.ts",
    "src/daemon/spawn.ts",
    "src/daemon/unhandled-rejections.ts",
    "src/pino-logger.ts",
    "src/stack/default-project.ts",
    "src/stack/definition/files/tree.ts",
    "src/system/find-program.ts",
    "src/system/mutex.ts",
    "src/system/nearest.ts",
    "src/system/quote-word.ts",
    "src/system/wait.ts",
  ],
  // Files of projects.
  [
    "src/stack/definition/attributes/attributes.ts",
    "src/stack/definition/folder-analysis.ts",
    "src/stack/definition/image-name.ts",
    "src/stack/definition/instances.ts",
    "src/stack/definition/attributes/node-reader.ts",
    "src/stack/definition/attributes/read-command.ts",
    "src/stack/definition/references.ts",
    "src/stack/definition/shared-volumes.ts",
    "src/stack/definition/attributes/units.ts",
    "src/stack/storage/project-store.ts",
    "src/stack/storage/secret-store.ts",
    "src/stack/text/ordinary-words.ts",
    "src/stack/text/sanitize-error.ts",
    "src/stack/text/secret-encodings.ts",
  ],
  // The configuration, and zod.
  ["src/config/load.ts", "src/config/client-roots.ts"],
  ["src/operations/index.ts"],
  // A server without stacks.
  ["src/run-server.ts", "src/cli/manager-control.ts", "src/control/control-server.ts", "src/mcp/socket.ts"],
  // Stacks.
  ["src/composition.ts"],
];

/** Parts that load after all layers, independently. What several of them import is loaded with the first of these. */
const PARTS = [
  ["src/runtimes/local/process-host.ts", "src/runtimes/local/local-stack.ts", "src/runtimes/local/check-services.ts"],
  ["src/runtimes/docker/stack/open-stack.ts", "src/runtimes/docker/engine/engine.ts"],
  ["src/runtimes/dagger/stack/open-stack.ts"],
  ["src/http/dashboard-server.ts", "src/http/server.ts"],
];

const LAZY = "lazy";
const GROUP = "group";

/**
 * @param {(options: import("esbuild").BuildOptions) => Promise<{ metafile: import("esbuild").Metafile }>} bundle
 * @param {import("esbuild").BuildOptions & { absWorkingDir: string, entryPoints: Record<string, string> }} options of a split bundle
 * @returns {Promise<import("esbuild").BuildOptions>} the options with layers
 */
export async function withLayers(bundle, options) {
  const { absWorkingDir: root, entryPoints, plugins = [] } = options;
  const { metafile } = await bundle({ ...options, write: false });
  const imports = staticImports(metafile);
  const groups = groupsOf(imports);
  /** The groups of which a module needs a part. */
  const groupsFor = (file) => {
    const needed = new Set();
    const visit = (files) => {
      for (const one of closure(imports, files))
        for (const [key, members] of groups)
          if (members.includes(one) && !needed.has(key)) {
            needed.add(key);
            visit(members);
          }
    };
    visit([file]);
    return [...groups.keys()].filter((key) => needed.has(key));
  };
  const isModule = (file) => file.startsWith("src/") && imports.has(file);
  const pathOf = (file) => JSON.stringify(join(root, file));
  const layers = {
    name: "layers",
    setup({ onResolve, onLoad, resolve }) {
      onResolve({ filter: new RegExp(`^(${LAZY}|${GROUP}):`) }, ({ path }) => {
        const [namespace, rest] = path.split(":");
        return { path: rest, namespace };
      });
      onResolve({ filter: /^\.\.?\// }, async ({ path, kind, pluginData, importer, resolveDir }) => {
        if (kind !== "dynamic-import" || pluginData === LAZY) return undefined;
        const resolved = await resolve(path, { kind, importer, resolveDir, pluginData: LAZY });
        const file = relative(root, resolved.path).split(sep).join("/");
        return isModule(file) ? { path: file, namespace: LAZY } : resolved;
      });
      // What a dynamic import loads: first all of each group, then the module.
      onLoad({ filter: /.*/, namespace: LAZY }, ({ path: file }) => ({
        contents: `${groupsFor(file)
          .map((key) => `import "${GROUP}:${key}";`)
          .join("\n")}\nexport * from ${pathOf(file)};`,
        resolveDir: root,
      }));
      onLoad({ filter: /.*/, namespace: GROUP }, ({ path: key }) => ({
        contents: groups
          .get(key)
          .map((file) => `import ${pathOf(file)};`)
          .join("\n"),
        resolveDir: root,
      }));
    },
  };
  return {
    ...options,
    entryPoints: Object.fromEntries(
      Object.entries(entryPoints).map(([name, file]) => [name, isModule(file) ? `${LAZY}:${file}` : file]),
    ),
    plugins: [...plugins, layers],
  };
}

/**
 * What each module imports statically.
 * @param {import("esbuild").Metafile} metafile
 * @returns {Map<string, string[]>}
 */
const staticImports = ({ inputs }) =>
  new Map(
    Object.entries(inputs).map(([file, { imports }]) => [
      file,
      imports.filter(({ kind, external }) => kind !== "dynamic-import" && !external).map(({ path }) => path),
    ]),
  );

/**
 * The modules of src/ by the layer, or the parts, that import them.
 * @param {Map<string, string[]>} imports
 * @returns {Map<string, string[]>}
 */
function groupsOf(imports) {
  for (const file of [...LAYERS, ...PARTS].flat())
    if (!imports.has(file)) throw new Error(`scripts/lib/layers.mjs lists ${file}, which no command loads.`);
  const layers = LAYERS.map((files) => closure(imports, files));
  const parts = PARTS.map((files) => closure(imports, files));
  const groups = new Map(LAYERS.map((_files, layer) => [`layer-${layer}`, []]));
  for (const file of imports.keys()) {
    if (!file.startsWith("src/")) continue;
    const layer = layers.findIndex((files) => files.has(file));
    const users = parts.flatMap((files, part) => (files.has(file) ? [part] : []));
    if (layer === -1 && users.length === 0) continue;
    const key = layer === -1 ? `parts-${users.join("-")}` : `layer-${layer}`;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return groups;
}

/**
 * The modules that some modules load.
 * @param {Map<string, string[]>} imports
 * @param {readonly string[]} files
 */
function closure(imports, files) {
  const reached = new Set();
  const visit = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const one of imports.get(file) ?? []) visit(one);
  };
  for (const file of files) visit(file);
  return reached;
}
