/** Images that the engine can resolve: skeletons with programs of the host, mounted read-only. */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ENTRYPOINT, POSTGRES_ENTRYPOINT } from "../image-entrypoints.mjs";
import { machinePython } from "../machine-python.mjs";

const USERS = { postgres: [70, 70], redis: [999, 1000], node: [1000, 1000] };

let found;
/** Folders of interpreters outside /usr and of PostgreSQL's programs. */
function host() {
  if (found !== undefined) return found;
  const [pythonHome, pythonProgram] = machinePython();
  const node = dirname(dirname(realpathSync(process.execPath)));
  const postgres = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin"].find((path) =>
    existsSync(join(path, "postgres")),
  );
  const own = (/** @type {string} */ path) => (path.startsWith("/usr") ? [] : [path]);
  found = {
    python: { bin: dirname(pythonProgram), binds: own(pythonHome) },
    node: { bin: join(node, "bin"), binds: own(node) },
    postgres,
  };
  return found;
}

const SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function definition(name) {
  const { python, node, postgres } = host();
  const plain = {
    env: [["PATH", SYSTEM]],
    entrypoint: [],
    args: ["sh"],
    user: "",
    workdir: "",
    files: {},
    users: [],
    binds: [],
    folders: [],
    ports: [],
  };
  const handsOn = (program, text = ENTRYPOINT) => ({
    entrypoint: ["docker-entrypoint.sh"],
    files: { "opt/bin/docker-entrypoint.sh": text },
    env: [
      ["PATH", `/opt/bin:${postgres === undefined ? "" : `${postgres}:`}${node.bin}:${SYSTEM}`],
      ["DEFAULT_PROGRAM", program],
    ],
  });
  switch (name) {
    case "busybox":
    case "alpine":
    case "debian":
      return plain;
    case "python":
      return { ...plain, args: ["python3"], env: [["PATH", `${python.bin}:${SYSTEM}`]], binds: python.binds };
    // Only an interpreter, without a shell.
    case "distroless":
      return {
        ...plain,
        args: ["python3"],
        env: [["PATH", `${python.bin}:/usr/bin`]],
        binds: python.binds,
        bare: true,
      };
    case "node":
      return { ...plain, ...handsOn("node"), args: ["node"], binds: node.binds, users: ["node"] };
    case "redis":
      return {
        ...plain,
        ...handsOn("redis-server"),
        args: ["redis-server"],
        ports: [6379],
        workdir: "/data",
        users: ["redis"],
        folders: [["data", "redis"]],
      };
    case "postgres": {
      const image = handsOn("postgres", POSTGRES_ENTRYPOINT);
      return {
        ...plain,
        ...image,
        env: [...image.env, ["PGDATA", "/var/lib/postgresql/data"]],
        args: ["postgres"],
        ports: [5432],
        users: ["postgres"],
        folders: [
          ["var/lib/postgresql/data", "postgres"],
          ["run/postgresql", "postgres"],
        ],
      };
    }
    default:
      return null;
  }
}

const BARE_PROGRAMS = ["bin", "sbin", "usr/bin", "usr/sbin"];

function skeleton(root, { files, users, folders, bare }) {
  const write = (path, text, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  mkdirSync(root, { recursive: true, mode: 0o755 });
  chmodSync(root, 0o755);
  for (const path of ["proc", "sys", "dev", "etc", "run", "root", "home", "var/tmp", "usr", "opt", "srv", "mnt"])
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  mkdirSync(join(root, "tmp"));
  symlinkSync("/run", join(root, "var/run"));
  for (const path of ["tmp", "var/tmp"]) chmodSync(join(root, path), 0o1777);
  chmodSync(join(root, "root"), 0o700);
  const binds = [];
  for (const name of ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]) {
    if (!existsSync(`/${name}`) || (bare && BARE_PROGRAMS.includes(name))) continue;
    if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    else binds.push(`/${name}`);
  }
  // Only the interpreter, where its folder has programs that this image lacks.
  const interpreter = "/usr/bin/python3";
  if (bare && existsSync(interpreter)) {
    mkdirSync(join(root, dirname(interpreter)), { recursive: true, mode: 0o755 });
    cpSync(realpathSync(interpreter), join(root, interpreter));
  }
  if (bare) binds.push(...["/usr/lib", "/usr/lib64", "/usr/local/lib"].filter((path) => existsSync(path)));
  else binds.push("/usr");
  for (const name of ["ld.so.cache", "localtime"])
    if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(root, "etc", name), { verbatimSymlinks: true });
  if (existsSync("/etc/alternatives")) binds.push("/etc/alternatives");
  const known = users.map((name) => [name, ...USERS[name]]);
  write(
    "etc/passwd",
    [
      "root:x:0:0:root:/root:/bin/sh",
      "nobody:x:65534:65534:nobody:/:/bin/false",
      ...known.map(([name, uid, gid]) => `${name}:x:${uid}:${gid}::/home/${name}:/bin/sh`),
      "",
    ].join("\n"),
  );
  write(
    "etc/group",
    ["root:x:0:", "nogroup:x:65534:", ...known.map(([name, , gid]) => `${name}:x:${gid}:`), ""].join("\n"),
  );
  write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
  write("etc/hosts", "");
  write("etc/resolv.conf", "");
  for (const [path, text] of Object.entries(files)) write(path, text, 0o755);
  for (const [path, user] of folders) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
    chownSync(join(root, path), ...USERS[user]);
  }
  return binds;
}

/** Parts of `name[:tag][@digest]`. */
const fullName = (address) => (/[/.]/.test(address.split(":")[0]) ? address : `registry.example/library/${address}`);

/**
 * @param {import("./engine-folder.mjs").Engine} engine
 * @param {string} address
 */
export async function resolveImage(engine, address) {
  const name = address.split("@")[0].split(":")[0].split("/").at(-1);
  const full = fullName(address);
  const fault = engine.faults().images?.[address];
  if (fault?.slowMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.slowMs));
  if (fault?.error !== undefined && engine.take(`image-${address}`, fault.times))
    throw new Error(`failed to resolve image "${full}" (platform: "linux/amd64"): ${fault.error}`);
  const image = definition(name);
  if (image === null)
    throw new Error(`failed to resolve image "${full}" (platform: "linux/amd64"): ${full}: not found`);
  const root = join(engine.part("images"), name);
  const done = `${root}.json`;
  if (!existsSync(done)) {
    const making = `${root}.${process.pid}`;
    const binds = [...skeleton(making, image), ...image.binds];
    try {
      renameSync(making, root);
    } catch {
      // Another session has created it meanwhile.
      rmSync(making, { recursive: true, force: true });
    }
    writeFileSync(done, JSON.stringify(binds));
  }
  return { ...image, binds: JSON.parse(readFileSync(done, "utf8")), root, address: full };
}
