/**
 * Starts a container: mount, process, network, UTS and IPC namespaces, a root folder over the image's, a cgroup,
 * Docker's default capabilities, and an init that forwards signals. Folders of the host that a service needs (`/usr`,
 * interpreters) are mounted read-only.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const [ENTER, INIT] = [join(HERE, "enter.pl"), join(HERE, "init.pl")];

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];
const [READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE] = [1, 32, 4096, 16384, 1 << 18];

/** @typedef {(string | number)[]} Step a step of `enter.pl`: its name and its arguments */

/** @type {(source: string, target: string, readOnly?: boolean) => Step[]} */
const bind = (source, target, readOnly = false) => [
  ["mount", source, target, "", BIND, ""],
  ...(readOnly ? [["mount", "", target, "", REMOUNT | BIND | READ_ONLY, ""]] : []),
];
/** @type {(type: string, target: string, data?: string) => Step} */
const mount = (type, target, data = "") => ["mount", type, target, type, 0, data];
/** @type {(path: string, mode?: string) => Step} */
const folder = (path, mode = "755") => ["folder", path, mode];

/** @returns {Step[]} */
function mountSteps({ root, lower, upper, work, image, session, mounts, cgroups }) {
  const inside = (path) => join(root, path);
  return [
    mount("overlay", root, `lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work}`),
    ...image.binds.flatMap((path) => [folder(inside(path)), ...bind(path, inside(path), true)]),
    mount("proc", inside("proc")),
    mount("tmpfs", inside("dev"), "mode=755"),
    ...DEVICES.flatMap((name) => [["file", inside(`dev/${name}`)], ...bind(`/dev/${name}`, inside(`dev/${name}`))]),
    folder(inside("dev/shm"), "1777"),
    ["link", "/proc/self/fd", inside("dev/fd")],
    ...["stdin", "stdout", "stderr"].map((name, number) => ["link", `/proc/self/fd/${number}`, inside(`dev/${name}`)]),
    mount("tmpfs", inside("sys"), "mode=555"),
    folder(inside("sys/fs/cgroup")),
    ...cgroups.flatMap(({ controller, path }) => {
      const at = inside(`sys/fs/cgroup/${controller}`);
      return [folder(at), ...bind(path, at, true)];
    }),
    ...bind(session.hostsFile, inside("etc/hosts")),
    ...mounts.flatMap(({ target, source, readOnly, tmpfs, isFile }) => {
      const at = inside(target);
      return [
        ...(isFile ? [folder(dirname(at)), ["file", at]] : [folder(at)]),
        ...(tmpfs === undefined
          ? bind(source, at, readOnly)
          : [mount("tmpfs", at, `mode=1777${tmpfs > 0 ? `,size=${tmpfs}` : ""}`)]),
      ];
    }),
  ];
}

/** Process id on the host of the first process inside. Null when it has ended. */
export function innerPid(outer) {
  try {
    return Number(readFileSync(`/proc/${outer}/task/${outer}/children`, "utf8").trim().split(" ")[0]) || null;
  } catch {
    return null;
  }
}

/**
 * @returns {import("node:child_process").ChildProcess} descriptor 3 says `started` once the program is about to run
 */
export function launch({ folder, session, network, image, lower, mounts, cgroups, user, cwd, env, args, noInit }) {
  const place = (name) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const root = place("root");
  const upper = join(folder, "upper");
  mkdirSync(upper, { recursive: true });
  writeFileSync(join(folder, "environment"), env.map(([name, value]) => `${name}=${value}`).join("\0"), {
    mode: 0o600,
  });
  /** @type {Step[]} */
  const plan = [
    ["mount", "", "/", "", PRIVATE | RECURSIVE, ""],
    ...cgroups.map(({ path }) => ["write", join(path, "cgroup.procs"), 0]),
    ...mountSteps({ root, lower, upper, work: place("work"), image, session, mounts, cgroups }),
    ["network", network.address, network.index],
  ];
  writeFileSync(join(folder, "plan"), plan.map((step) => step.map((word) => `${word}\0`).join("")).join(""), {
    mode: 0o600,
  });
  const words = [noInit ? "direct" : "init", root, user.uid, user.gid, user.groups.join(",") || "-", cwd];
  const inside = [...words.map(String), join(folder, "environment"), ...args];
  // Both processes end with the session's process, and with each other.
  return spawn("perl", [ENTER, `/proc/${session.holder}/ns/net`, join(folder, "plan"), INIT, ...inside], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    cwd: "/",
    env: { PATH: process.env.PATH },
  });
}
