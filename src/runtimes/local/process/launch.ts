/**
 * Starts a process that is in its cgroup, runs as its user and cannot gain privileges before any code of a project
 * runs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import { boundText, sanitizeText } from "../../../stack/text/sanitize-text.js";
import { startTime } from "../../../system/process-identity.js";
import { withRetry } from "../../../system/retry.js";
import { isRootServer } from "../../../system/root-server.js";
import { withinOrNull } from "../../../system/wait.js";
import { drain } from "../../shared/drain.js";
import { lastLine } from "../../shared/last-line.js";
import type { ServiceUser } from "../types.js";
import { firstClosedFolder } from "./access.js";
import { childrenOf } from "./children.js";
import { type GateTools, gateCommand, NO_DIRECTORY, READY } from "./gate.js";
import { inheritedDescriptors, withoutInherited } from "./inherited-descriptors.js";
import { BLOCK_FD, type SandboxCheck, untilMounted, verifyMounts } from "./sandbox-check.js";
import { INNER_FD, OUTER_FD, type UserNamespaces } from "./user-namespaces.js";

export interface LaunchSpec {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  user: ServiceUser;
  tools: GateTools;
  stdin: "ignore" | "pipe";
  /** Its own namespaces, or those of an instance; absent: the machine's. */
  namespaces?: { words: string[]; users: UserNamespaces | null } & (
    | { kind: "own"; check: SandboxCheck }
    | { kind: "joined"; pidNamespace: string }
  );
}

/** A command in its own namespaces. */
export interface Inside {
  /** The first process of the namespaces. Its end ends every process in them. */
  init: number;
  /** Start time of that process. */
  started: string;
  /** Identifies its PID namespace. */
  pidNamespace: string;
}

export interface Launched {
  child: ChildProcess;
  /** Leader of its process group: the command, or the process that waits for it outside of its namespaces. */
  pid: number;
  /** The command's process id on this machine. */
  command: number;
  inside: Inside | null;
  stdout: Readable;
  stderr: Readable;
  /**
   * Moves it into a cgroup by these files. On failure no process is left.
   * @throws SERVICE_START_FAILED
   */
  enter(procsFiles: string[]): Promise<void>;
  /**
   * Lets it change its user, checks the user that the kernel reports, and lets the command begin. No code of the
   * command runs before. On failure no process is left.
   * @throws SERVICE_START_FAILED, POLICY_VIOLATION
   */
  begin(): Promise<void>;
}

/** Maximum wait for stage 2. It takes milliseconds, and well below a second on a busy machine. */
const STAGE_MS = 30_000;

/** Maximum wait for the exit of a process that was killed, or of a program that ended before the command began. */
const EXIT_MS = 1000;

/** Descriptors are inherited only when a process starts. */
let inherited: number[] | null = null;

const failed = (spec: LaunchSpec, cause: unknown): StackwardenError => {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new StackwardenError("SERVICE_START_FAILED", `${spec.argv[0]} cannot be started: ${code ?? message}.`, {
    hint: "The server's log on stderr has the details.",
    cause,
  });
};

/** The first line that arrives on descriptor 3; null when it closes without one. */
function firstLine(channel: Duplex, child: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    const done = (line: string | null): void => {
      clearTimeout(timer);
      resolve(line);
    };
    const timer = setTimeout(() => done(null), STAGE_MS);
    channel.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.includes("\n")) done(text.slice(0, text.indexOf("\n")));
    });
    channel.once("end", () => done(null));
    channel.once("close", () => done(null));
    if (child.exitCode !== null || child.signalCode !== null) done(null);
  });
}

/** Lets bubblewrap continue once its mounts are verified. @throws POLICY_VIOLATION; then no process continues */
async function verified(child: ChildProcess, { argv, namespaces }: LaunchSpec): Promise<void> {
  if (namespaces?.kind !== "own") return;
  const gate = child.stdio[BLOCK_FD] as Duplex;
  gate.on("error", () => undefined);
  const until = Date.now() + STAGE_MS;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null || Date.now() > until;
  const first = await untilMounted(child.pid as number, isOver);
  // The caller reports that it has ended.
  if (first === null) return;
  try {
    verifyMounts(first, argv[0] ?? "The command", namespaces.check);
    gate.end("\n");
  } catch (error) {
    // bubblewrap would also continue at the end of its input.
    for (const pid of [first, child.pid as number]) killProcess(pid);
    await ended(child);
    gate.destroy();
    throw error;
  }
}

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, "exit");

/** Kills a process that must not begin, or has not ended with its command, and waits for its end. */
export async function endLaunched({ child }: Launched): Promise<void> {
  child.kill("SIGKILL");
  await withinOrNull(ended(child), EXIT_MS);
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/**
 * Reads standard error until the command begins. Node.js discards what no listener has read when a process exits.
 * @returns a function that ends the reading and returns what was printed
 */
function collectErrors(stderr: Readable): () => Buffer {
  const chunks: Buffer[] = [];
  const collect = (): void => {
    for (let chunk = stderr.read(); chunk !== null; chunk = stderr.read()) chunks.push(chunk);
  };
  stderr.on("readable", collect);
  return () => {
    stderr.off("readable", collect);
    return Buffer.concat(chunks);
  };
}

function endedEarly(program: string, { exitCode, signalCode }: ChildProcess, printed: string): StackwardenError {
  const line = boundText(lastLine(sanitizeText(printed)), 300);
  const how = signalCode ?? (exitCode === null ? "" : `exit code ${exitCode}`);
  const reason = [line, how].filter(Boolean).join(", ");
  return new StackwardenError(
    "SERVICE_START_FAILED",
    `${program} cannot be started: it ended before its first step${reason === "" ? "" : ` (${reason})`}.`,
    {
      hint: "Its limits may be too low for any process to start; `stackwarden doctor` shows what this machine can do.",
      ...(line === "" ? {} : { cause: new Error(line) }),
    },
  );
}

/** Finds the command behind bubblewrap or nsenter. Until the command begins, stage 2 is the only process there. */
function locate(pid: number, { namespaces }: LaunchSpec): { command: number; inside: Inside | null } | null {
  if (namespaces === undefined) return { command: pid, inside: null };
  try {
    const [first] = childrenOf(pid);
    const command = namespaces.kind === "own" && first !== undefined ? childrenOf(first)[0] : first;
    if (first === undefined || command === undefined) return null;
    const pidNamespace = readlinkSync(`/proc/${command}/ns/pid`);
    const started = startTime(first);
    if (started === null) return null;
    if (namespaces.kind === "own") return { command, inside: { init: first, started, pidNamespace } };
    // The instance has ended, and another process has its id.
    return pidNamespace === namespaces.pidNamespace ? { command, inside: null } : null;
  } catch {
    return null;
  }
}

/** Privileges that the kernel reports beyond those of the service's user; null: none. */
function privilegesDiffer(pid: number, { user, tools }: LaunchSpec): string | null {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // There is no /proc, or the process has ended.
    return null;
  }
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
  const all = (name: string, id: number): boolean =>
    field(name)
      .split(/\s+/)
      .every((one) => one === String(id));
  if (!all("Uid", user.uid) || !all("Gid", user.gid)) return `user ${field("Uid")}, group ${field("Gid")}`;
  const groups = field("Groups").split(/\s+/).filter(Boolean).map(Number);
  // Only root can take groups away.
  const permitted = isRootServer() ? (user.groups ?? []) : [user.gid, ...(process.getgroups?.() ?? [])];
  if (tools.setpriv !== null && groups.some((group) => !permitted.includes(group))) return `groups ${field("Groups")}`;
  if (!/^0+$/.test(field("CapEff"))) return `capabilities ${field("CapEff")}`;
  if (tools.setpriv !== null && field("NoNewPrivs") !== "1") return "the right to gain privileges";
  return null;
}

/** What a new process gets in place of each inherited descriptor, with the channels of its namespaces. */
function descriptors({ namespaces }: LaunchSpec, rest: readonly ("ignore" | number)[]): ("ignore" | "pipe" | number)[] {
  const own: ("ignore" | "pipe" | number)[] = [...rest];
  const users = namespaces?.users ?? null;
  if (users !== null) while (own.length <= INNER_FD - BLOCK_FD) own.push("ignore");
  if (namespaces?.kind === "own") own[0] = "pipe";
  if (users !== null) {
    own[OUTER_FD - BLOCK_FD] = users.outer;
    own[INNER_FD - BLOCK_FD] = users.inner;
  }
  return own;
}

/**
 * On failure no process is left.
 * @returns the process, which waits for `begin`
 * @throws SERVICE_START_FAILED
 */
export async function launch(spec: LaunchSpec): Promise<Launched> {
  const { argv, user, tools, stdin } = spec;
  const root = isRootServer();
  let child: ChildProcess;
  try {
    const gate = gateCommand({ ...spec, namespaces: spec.namespaces?.words ?? [] }, tools, root);
    inherited ??= inheritedDescriptors();
    child = withoutInherited(inherited, (rest) =>
      spawn(gate.file, gate.args, {
        cwd: "/",
        env: gate.env,
        // A separate process group: signals from the server's terminal do not reach it, and it can be ended as a whole.
        detached: true,
        stdio: [stdin, "pipe", "pipe", "pipe", ...descriptors(spec, rest)],
        // Without setpriv Node.js changes the user before stage 1; it drops supplementary groups as well.
        ...(root && tools.setpriv === null ? { uid: user.uid, gid: user.gid } : {}),
      }),
    );
  } catch (error) {
    throw failed(spec, error);
  }
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(failed(spec, error)));
  });
  const channel = child.stdio[3] as Duplex;
  // The process may end before it reads its input.
  channel.on("error", () => undefined);
  const pid = child.pid as number;
  const end = (): void => {
    channel.destroy();
    child.kill("SIGKILL");
  };
  const launched: Launched = {
    child,
    pid,
    command: pid,
    inside: null,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    enter: async (procsFiles) => {
      try {
        for (const file of procsFiles) await writeFile(file, String(pid));
      } catch (error) {
        end();
        throw new StackwardenError(
          "SERVICE_START_FAILED",
          `${argv[0]} cannot be put into its cgroup: ${(error as NodeJS.ErrnoException).code}.`,
          { hint: "`stackwarden doctor` shows what this machine can do.", cause: error },
        );
      }
    },
    begin: async () => {
      const report = firstLine(channel, child);
      const printed = collectErrors(launched.stderr);
      channel.write("user\n");
      try {
        await verified(child, spec);
      } catch (error) {
        end();
        throw error instanceof StackwardenError ? error : failed(spec, error);
      }
      const line = await report;
      const place = line === READY ? locate(pid, spec) : null;
      const isChanged = root || spec.namespaces !== undefined;
      const differs = isChanged && place !== null ? privilegesDiffer(place.command, spec) : null;
      if (place !== null && differs === null) {
        Object.assign(launched, place);
        launched.stderr.unshift(printed());
        channel.end("go\n");
        return;
      }
      // Programs that reported nothing have ended, unless they did not answer in time. The channel closes before the rest
      // of the output and the exit code arrive.
      if (line === null) await Promise.all([withinOrNull(ended(child), EXIT_MS), drain(launched.stderr)]);
      end();
      if (differs !== null)
        throw new StackwardenError(
          "POLICY_VIOLATION",
          `${argv[0]} would have run with ${differs} and was not started.`,
          {
            hint: "Install util-linux (setpriv), which runs services as separate users.",
          },
        );
      throw line === NO_DIRECTORY
        ? await noDirectory(spec)
        : endedEarly(argv[0] ?? "The command", child, printed().toString());
    },
  };
  return launched;
}

const isMountFailure = ({ cause }: Error): boolean => cause instanceof Error && /^bwrap: .*mount/.test(cause.message);

/**
 * Calls again, up to four times, when bubblewrap fails at a mount: it copies the machine's mounts and then changes each
 * of them, and fails when one is removed in between, as container engines do all the time. On systemd machines mounts are
 * shared with copies.
 */
export const retryMounts = <T>(start: () => Promise<T>): Promise<T> =>
  withRetry(start, { maxRetries: 4, baseDelayMs: 0, classify: (error) => isMountFailure(error as Error) });

async function noDirectory({ argv, cwd, user }: LaunchSpec): Promise<StackwardenError> {
  const isPresent = existsSync(cwd);
  const closed = await firstClosedFolder(cwd, user);
  const hint =
    closed === null
      ? `Check that ${cwd} exists and that ${user.name} may enter it.`
      : `${closed} is closed to the user ${user.name}, as which the service runs. Let other users enter it (chmod o+x), or choose a state directory and a project folder elsewhere.`;
  return new StackwardenError(
    "SERVICE_START_FAILED",
    `${argv[0]} cannot be started: its working directory ${cwd} cannot be entered.`,
    { hint, cause: Object.assign(new Error(cwd), { code: isPresent ? "EACCES" : "ENOENT" }) },
  );
}

/** Kills every process of a group. Returns true when there was one. */
export function killGroup(pid: number, signal: NodeJS.Signals = "SIGKILL"): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}
