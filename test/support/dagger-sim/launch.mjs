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

const quoted = (/** @type {string | number} */ word) => `'${String(word).replaceAll("'", `'\\''`)}'`;
const line = (/** @type {(string | number)[]} */ ...words) => words.map(quoted).join(" ");

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

function mountLines({ root, lower, upper, work, image, session, mounts, cgroups }) {
  const inside = (path) => join(root, path);
  const lines = [
    line(
      "mount",
      "-t",
      "overlay",
      "overlay",
      "-o",
      `lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work}`,
      root,
    ),
    ...image.binds.flatMap((path) => [
      line("mkdir", "-p", inside(path)),
      line("mount", "--bind", path, inside(path)),
      line("mount", "-o", "remount,bind,ro", inside(path)),
    ]),
    line("mount", "-t", "proc", "proc", inside("proc")),
    line("mount", "-t", "tmpfs", "-o", "mode=755", "dev", inside("dev")),
    line("touch", ...DEVICES.map((name) => inside(`dev/${name}`))),
    ...DEVICES.map((name) => line("mount", "--bind", `/dev/${name}`, inside(`dev/${name}`))),
    line("mkdir", "-m", "1777", inside("dev/shm")),
    ...[
      ["/proc/self/fd", "fd"],
      ["/proc/self/fd/0", "stdin"],
      ["/proc/self/fd/1", "stdout"],
      ["/proc/self/fd/2", "stderr"],
    ].map(([to, name]) => line("ln", "-s", to, inside(`dev/${name}`))),
    line("mount", "-t", "tmpfs", "-o", "mode=555", "sys", inside("sys")),
    line("mkdir", "-p", inside("sys/fs/cgroup")),
    ...cgroups.flatMap(({ controller, path }) => [
      line("mkdir", "-p", inside(`sys/fs/cgroup/${controller}`)),
      line("mount", "--bind", path, inside(`sys/fs/cgroup/${controller}`)),
      line("mount", "-o", "remount,bind,ro", inside(`sys/fs/cgroup/${controller}`)),
    ]),
    line("mount", "--bind", session.hostsFile, inside("etc/hosts")),
  ];
  for (const { target, source, readOnly, tmpfs, isFile } of mounts) {
    const at = inside(target);
    if (isFile) lines.push(line("mkdir", "-p", dirname(at)), `[ -e ${quoted(at)} ] || : > ${quoted(at)}`);
    else lines.push(line("mkdir", "-p", at));
    if (tmpfs === undefined) lines.push(line("mount", "--bind", source, at));
    else lines.push(line("mount", "-t", "tmpfs", "-o", `mode=1777${tmpfs > 0 ? `,size=${tmpfs}` : ""}`, "tmp", at));
    if (readOnly) lines.push(line("mount", "-o", "remount,bind,ro", at));
  }
  return lines;
}

function networkLines({ address, bridge, index }) {
  if (address === undefined) return ["ip link set lo up"];
  return [
    "mkdir -p /run/netns; mount -t tmpfs netns /run/netns; ip netns add own",
    `ip link add v${index} type veth peer name eth0 netns own`,
    `ip link set v${index} master ${bridge} up`,
    `ip -n own addr add ${address}/16 dev eth0; ip -n own link set eth0 up; ip -n own link set lo up`,
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
  const script = [
    "set -e",
    "mount --make-rprivate /",
    ...cgroups.map(({ path }) => `echo 0 > ${quoted(join(path, "cgroup.procs"))}`),
    ...mountLines({ root, lower, upper, work: place("work"), image, session, mounts, cgroups }),
    ...networkLines(network),
    `${network.address === undefined ? "exec" : "exec nsenter --net=/run/netns/own"} ${line(
      "perl",
      INIT,
      noInit ? "direct" : "init",
      root,
      user.uid,
      user.gid,
      user.groups.join(",") || "-",
      cwd,
      join(folder, "environment"),
      ...args,
    )}`,
  ].join("\n");
  writeFileSync(join(folder, "launch.sh"), script, { mode: 0o600 });
  // Each process of the chain ends with the others, so that nothing outlives the session's process.
  return spawn("perl", [ENTER, `/proc/${session.holder}/ns/net`, "/bin/sh", join(folder, "launch.sh")], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    cwd: "/",
    env: { PATH: process.env.PATH },
  });
}
