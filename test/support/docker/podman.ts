/** A Podman service with the Docker API for a test. Its folders, socket, networks and images are removed with it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { engineCall } from "./engine-call.mjs";
import { BUSYBOX, makeImages } from "./images.mjs";

const HYBRID = "/sys/fs/cgroup/unified";

const succeeds = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Why Podman cannot be started here, in one line. Null if it can. */
export function whyNoPodman(): string | null {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "Podman is started as root on Linux only";
  if (!succeeds("podman", "--version"))
    return "there is no podman (Debian: apt-get install podman crun netavark aardvark-dns catatonit)";
  for (const path of ["/usr/lib/podman/netavark", "/usr/lib/podman/aardvark-dns", "/usr/bin/catatonit", BUSYBOX])
    if (!existsSync(path))
      return `${path} is missing (Debian: apt-get install netavark aardvark-dns catatonit busybox)`;
  return succeeds("iptables", "-L", "-n") ? null : "Podman's networks need iptables, which does not work here";
}

/** Monitors of commands in containers, which remain for five minutes after the command (`exit_command_delay`). */
const monitorsOf = (folder: string): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [program = "", ...words] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return program.endsWith("/conmon") && words.some((word) => word.startsWith(`${folder}/`)) ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });

export interface TestPodman {
  socket: string;
  host: string;
  close(): Promise<void>;
}

/** @param images of `images.mjs` */
export async function startPodman(images: string[]): Promise<TestPodman> {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-podman-"));
  // Podman refuses a longer path than 50 characters for it.
  const runRoot = mkdtempSync("/run/stackwarden-podman-");
  const socket = join(folder, "podman.sock");
  const log = join(folder, "log");
  const own = [
    `--root=${join(folder, "root")}`,
    `--runroot=${runRoot}`,
    `--network-config-dir=${join(folder, "networks")}`,
    "--network-backend=netavark",
    "--cgroup-manager=cgroupfs",
    "--events-backend=file",
  ];
  const config = join(folder, "containers.conf");
  // Podman's defaults exceed what a container on a test machine may permit.
  writeFileSync(config, '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n');
  const env = { ...process.env, CONTAINERS_CONF: config };
  // crun refuses a hybrid of both cgroup versions. The mounts end with the namespace.
  const script = `mount --make-rprivate / && { ! mountpoint -q ${HYBRID} || umount -l ${HYBRID}; } && exec podman "$@"`;
  const words = ["--mount", "sh", "-c", script, "sh", ...own, "system", "service", "--time=0", `unix://${socket}`];
  const service: ChildProcess = spawn("unshare", words, { env, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [service.stdout, service.stderr]) stream?.on("data", (chunk) => appendFileSync(log, chunk));
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    const answer = existsSync(socket) ? await engineCall(socket, "GET", "/_ping").catch(() => null) : null;
    if (answer?.status === 200) break;
    if (service.exitCode !== null || Date.now() > end)
      throw new Error(`Podman does not answer: ${existsSync(log) ? readFileSync(log, "utf8").slice(-2000) : ""}`);
  }
  await makeImages(socket, images);
  return {
    socket,
    host: `unix://${socket}`,
    async close() {
      const inside = ["--mount", `--target=${service.pid}`, "podman", ...own, "rm", "--all", "--force", "--time=0"];
      spawnSync("nsenter", inside, { env, stdio: "ignore" });
      if (service.exitCode === null) {
        const exited = new Promise((resolve) => service.once("exit", resolve));
        service.kill("SIGTERM");
        const timer = setTimeout(() => service.kill("SIGKILL"), 20_000);
        await exited;
        clearTimeout(timer);
      }
      for (const pid of monitorsOf(folder)) process.kill(pid, "SIGKILL");
      for (const one of [folder, runRoot])
        rmSync(one, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
