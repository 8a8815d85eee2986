/**
 * The import borders of docs/ARCHITECTURE.md: each folder of src/ lists the parts of src/ and the restricted packages
 * that it may import. `npm run lint` checks them; test/architecture.test.ts shows that the check works.
 */
import { readdirSync } from "node:fs";

const BASE = ["errors.ts", "hint.ts", "logger.ts", "version.ts"];

const RUNTIMES = readdirSync(new URL("src/runtimes/", import.meta.url)).filter((name) => name !== "shared");
const FOR_RUNTIME = [...BASE, "system", "stack", "runtimes/shared", "node:child_process"];
/** What one runtime may import in addition. */
const EXTRA = { dagger: ["@dagger.io/"] };

/** @type {Record<string, string[]>} */
const MAY_IMPORT = {
  system: [...BASE],
  stack: [...BASE, "system"],
  operations: [...BASE, "system", "stack"],
  config: [...BASE, "system", "stack"],
  control: [...BASE, "system", "stack"],
  "runtimes/shared": [...BASE, "system", "stack"],
  ...Object.fromEntries(RUNTIMES.map((name) => [`runtimes/${name}`, [...FOR_RUNTIME, ...(EXTRA[name] ?? [])]])),
  dashboard: [...BASE, "stack"],
  mcp: [...BASE, "system", "stack", "operations", "dashboard", "@modelcontextprotocol/"],
  http: [...BASE, "system", "stack", "operations", "dashboard", "express"],
  daemon: [
    ...BASE,
    "pino-logger.ts",
    "system",
    "stack",
    "operations",
    "config",
    "control",
    "mcp",
    "node:child_process",
  ],
  cli: [
    ...[...BASE, "pino-logger.ts", "system", "stack", "operations", "config", "control", "mcp", "http", "daemon"],
    "node:child_process",
  ],
};

/** Packages that only the folders above may import. */
const RESTRICTED = ["node:child_process", "@modelcontextprotocol/", "@dagger.io/", "express"];

/**
 * Folders whose modules meet paths that a project's owner or a service can change. They use the file boundary
 * (src/system/read-regular-file.ts, src/runtimes/local/files/) instead of Node's file calls.
 */
const FILE_BOUNDARY = [
  "stack/definition",
  "runtimes/local",
  "runtimes/shared",
  "runtimes/docker/image",
  "runtimes/docker/container",
  "runtimes/docker/dependencies",
  "runtimes/docker/volumes",
  "runtimes/dagger/container",
];

/** Modules in these folders whose paths only the server or the kernel changes. */
const OWN_FILES = [
  "stack/definition/files/built-in-stack.ts",
  // Looks for its own program only.
  "stack/definition/load-worker.ts",
  // The boundary itself.
  "runtimes/local/files/",
  // /proc, cgroups, the server's own records.
  "runtimes/local/process/",
  "runtimes/local/ports/listeners.ts",
  "runtimes/local/network/",
  "runtimes/local/network-agent-main.ts",
  // Programs of the machine and packages of stackwarden.
  "runtimes/local/toolchain/",
  // /proc.
  "runtimes/shared/port-owner.ts",
  // Private folders of the server: secrets of a build, and secrets that are mounted.
  "runtimes/docker/image/build.ts",
  "runtimes/docker/container/secret-files.ts",
  // Files that the operator's settings name; the server's state.
  "runtimes/docker/dependencies/settings.ts",
  "runtimes/docker/dependencies/record.ts",
  "runtimes/docker/volumes/engines.ts",
  // Snapshots in the server's state directory.
  "runtimes/docker/volumes/copy.ts",
  "runtimes/docker/volumes/restore.ts",
  // Private copies of the server.
  "runtimes/dagger/container/staging.ts",
];

const isPackage = (entry) => RESTRICTED.includes(entry);
/** Built-in modules are reported without `node:`. */
const packagePattern = (entry) => (entry.startsWith("node:") ? `^${entry.slice(5)}$` : `(^|node_modules/)${entry}`);

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-circular",
      comment: "A module never imports a module that needs it, not even for a type: both can be read alone.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "file-boundary",
      comment: "Paths that a project or a service can change are used only through the file boundary.",
      severity: "error",
      from: {
        path: FILE_BOUNDARY.map((folder) => `^src/${folder}/`),
        pathNot: OWN_FILES.map((file) => `^src/${file}`),
      },
      to: { path: "^fs(/promises)?$" },
    },
    ...Object.entries(MAY_IMPORT).flatMap(([folder, allowed]) => [
      {
        name: `border-${folder}`,
        comment: `src/${folder} may import: ${allowed.join(", ")}.`,
        severity: "error",
        from: { path: `^src/${folder}/` },
        to: {
          path: "^src/",
          pathNot: [folder, ...allowed.filter((entry) => !isPackage(entry))].map((part) => `^src/${part}(/|$)`),
        },
      },
      {
        name: `packages-${folder}`,
        comment: `src/${folder} may import of the restricted packages: ${allowed.filter(isPackage).join(", ") || "none"}.`,
        severity: "error",
        from: { path: `^src/${folder}/` },
        to: {
          path: RESTRICTED.filter((entry) => !allowed.includes(entry)).map(packagePattern),
          pathNot: "^src/",
        },
      },
    ]),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".mjs", ".js"], conditionNames: ["import", "node", "default"] },
  },
};
