/** A Docker daemon for a test. Its folders, socket, networks and images are removed with it. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { perRun } from "../per-run.mjs";
import { engineCall } from "./engine-call.mjs";
import { BUSYBOX, importImages } from "./images.mjs";

const succeeds = (/** @type {string} */ command, /** @type {string[]} */ args) =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Why no daemon can be started here, in one line. Null if it can. */
export function whyNoDaemon() {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "a Docker daemon is started as root on Linux only";
  if (!succeeds("dockerd", ["--version"])) return "there is no dockerd (Debian: apt-get install docker.io)";
  if (!existsSync(BUSYBOX)) return "there is no busybox (Debian: apt-get install busybox)";
  if (!succeeds("iptables", ["-L", "-n"])) return "dockerd needs iptables, which does not work here";
  return null;
}

const orEmpty = (/** @type {string} */ path) => (existsSync(path) ? readFileSync(path, "utf8") : "");

const runs = (/** @type {number} */ pid) => {
  const stat = pid > 0 ? orEmpty(`/proc/${pid}/stat`) : "";
  return stat !== "" && !/\) Z /.test(stat);
};

/** One of 256 address ranges, chosen by process id. */
const pool = () => `10.${200 + (process.pid % 50)}.${((process.pid >> 2) % 16) << 4}.0/20`;

/**
 * The daemon runs its own program again for several steps of each container. With Go's default, garbage collection takes
 * a third of the processor time of such a step.
 */
const ENVIRONMENT = { ...process.env, GOGC: "400" };

/** Each start and command compiles its filter. The engine's own takes a quarter of the time of a short command. */
const SHORT_FILTER = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["keyctl"], action: "SCMP_ACT_ERRNO" }] };

function shortFilter(/** @type {string} */ folder) {
  const path = join(folder, "seccomp.json");
  writeFileSync(path, JSON.stringify(SHORT_FILTER));
  return path;
}

/**
 * Connects the containers of a daemon that does not manage the firewall to each other and to the internet. Other daemons
 * of this machine refuse to forward what no rule of theirs names.
 * @returns a function that removes the rules
 */
function openFirewall() {
  const established = ["--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];
  const rules = [
    ["filter", "FORWARD", "--source", pool(), "--jump", "ACCEPT"],
    ["filter", "FORWARD", "--destination", pool(), ...established, "--jump", "ACCEPT"],
    ["nat", "POSTROUTING", "--source", pool(), "!", "--destination", pool(), "--jump", "MASQUERADE"],
  ];
  const apply = (/** @type {string} */ action) => {
    for (const [table = "", ...rule] of rules)
      spawnSync("iptables", ["--wait", "--table", table, action, ...rule], { stdio: "ignore" });
  };
  apply("--insert");
  return () => apply("--delete");
}

let bridges = 0;

/** A bridge for builds by BuildKit and for containers outside a stack. */
function addBridge() {
  bridges += 1;
  const name = `sw${process.pid.toString(36)}-${bridges}`;
  const [base = ""] = pool().split("/");
  const [one, two, three] = base.split(".").map(Number);
  for (const words of [
    ["link", "add", name, "type", "bridge"],
    ["addr", "add", `${one}.${two}.${(three ?? 0) + 16 - bridges}.1/24`, "dev", name],
    ["link", "set", name, "up"],
  ])
    execFileSync("ip", words);
  return name;
}

/** The data folder of a daemon that has the images, in `folder`. */
async function makeTemplate(/** @type {string} */ folder) {
  const daemon = await startDaemon({ images: false, firewall: false });
  try {
    await importImages(daemon.socket);
    await daemon.end("SIGTERM");
    renameSync(join(daemon.folder, "data"), join(folder, "data"));
  } finally {
    await daemon.close();
  }
}

/**
 * Fills the data folder of a daemon that has not started with the images, whose creation takes a daemon seconds. Layers
 * are never changed, so that daemons share their files by links to the folders of the template; everything else is
 * copied.
 */
async function fillFromTemplate(/** @type {string} */ data) {
  const template = await perRun("docker-images", makeTemplate);
  if (template === null) return makeTemplate(dirname(data));
  const from = join(template, "data");
  mkdirSync(data, { mode: 0o710 });
  const others = readdirSync(from).filter((part) => part !== "overlay2");
  execFileSync("cp", ["-a", ...others.map((part) => join(from, part)), data]);
  const options = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true };
  const isLayer = (/** @type {string} */ path) => /\/overlay2\/[^/]+\/diff$/.test(path);
  cpSync(join(from, "overlay2"), join(data, "overlay2"), { ...options, filter: (path) => !isLayer(path) });
  for (const name of readdirSync(join(from, "overlay2"))) {
    const path = join("overlay2", name, "diff");
    if (existsSync(join(from, path))) symlinkSync(join(from, path), join(data, path));
  }
}

/**
 * @param {{images?: false, arguments?: string[], bridge?: boolean, shortFilter?: boolean, firewall?: false}} [options] images: the daemon
 * has the images of `images.mjs` unless this is false. bridge: the daemon has a default network. shortFilter: containers
 * get a short system call filter in place of the engine's. firewall: false for tests that do not depend on the rules with
 * which the daemon separates networks; each network costs it forty calls of iptables
 */
export async function startDaemon(options = {}) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-dockerd-"));
  const socket = join(folder, "docker.sock");
  const log = join(folder, "log");
  const bridge = options.bridge === true ? addBridge() : "none";
  const removeRule = options.firewall === false ? openFirewall() : () => undefined;
  const words = [
    `--data-root=${join(folder, "data")}`,
    `--exec-root=${join(folder, "exec")}`,
    `--pidfile=${join(folder, "pid")}`,
    `--host=unix://${socket}`,
    `--bridge=${bridge}`,
    `--default-address-pool=base=${pool()},size=24`,
    ...(options.shortFilter === true ? [`--seccomp-profile=${shortFilter(folder)}`] : []),
    ...(options.firewall === false ? ["--iptables=false"] : []),
    ...(options.arguments ?? []),
  ];
  /** @type {import("node:child_process").ChildProcess | undefined} */
  let daemon;
  /** @returns why the daemon ended; null when it answers */
  const attempt = async () => {
    const child = spawn("dockerd", words, { stdio: ["ignore", "pipe", "pipe"], env: ENVIRONMENT });
    daemon = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => appendFileSync(log, chunk));
    for (const end = Date.now() + 60_000; ; await sleep(50)) {
      if (child.exitCode !== null || Date.now() > end) return `dockerd does not answer: ${orEmpty(log).slice(-2000)}`;
      const answer = await engineCall(socket, "GET", "/_ping").catch(() => null);
      if (answer?.status === 200) return null;
    }
  };
  const start = async () => {
    for (let attempts = 1; ; attempts += 1) {
      const fault = await attempt();
      if (fault === null) return;
      // Daemons that start at the same time change the same firewall rules, and a loaded machine starts containerd
      // slowly.
      if (attempts === 5 || !/iptables failed|timeout waiting for containerd/.test(fault)) {
        daemon?.kill("SIGKILL");
        throw new Error(fault);
      }
      await sleep(200 * attempts);
    }
  };
  const end = async (/** @type {NodeJS.Signals} */ signal) => {
    const child = daemon;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const containerd = Number(orEmpty(join(folder, "exec/containerd/containerd.pid")));
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    await exited;
    clearTimeout(timer);
    // The daemon's containerd ends a moment later. Until it is reaped, the next daemon takes its id for a running one.
    for (const limit = Date.now() + 10_000; Date.now() < limit && runs(containerd); await sleep(20));
    if (!runs(containerd)) rmSync(join(folder, "exec/containerd/containerd.pid"), { force: true });
  };
  const removeNetwork = () => {
    removeRule();
    if (bridge !== "none") spawnSync("ip", ["link", "delete", bridge]);
  };
  if (options.images !== false) await fillFromTemplate(join(folder, "data"));
  await start().catch((error) => {
    removeNetwork();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    folder,
    socket,
    host: `unix://${socket}`,
    /** Ends the daemon. After SIGKILL its containers run until it starts again. */
    end,
    start,
    async close() {
      await end("SIGTERM");
      removeNetwork();
      for (const place of mountsBelow(folder)) spawnSync("umount", ["-l", place], { stdio: "ignore" });
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** @param {string} folder */
const mountsBelow = (folder) =>
  readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${folder}/`))
    .reverse();

/** Names of what the daemon holds. @param {string} socket */
export async function contents(socket) {
  const ask = async (/** @type {string} */ path) => JSON.parse((await engineCall(socket, "GET", path)).text);
  const [containers, networks, volumes] = await Promise.all([
    ask("/containers/json?all=1"),
    ask("/networks"),
    ask("/volumes"),
  ]);
  return {
    containers: containers.map((/** @type {any} */ one) => one.Names[0].slice(1)),
    networks: networks
      .map((/** @type {any} */ one) => one.Name)
      .filter((/** @type {string} */ name) => !["host", "none", "bridge"].includes(name)),
    volumes: (volumes.Volumes ?? []).map((/** @type {any} */ one) => one.Name),
  };
}

export const dockerCli = (/** @type {string} */ socket, /** @type {string[]} */ ...args) =>
  execFileSync("docker", args, { encoding: "utf8", env: { ...process.env, DOCKER_HOST: `unix://${socket}` } });
