/**
 * Starts a process that is in its cgroup, and its user, before its first instruction.
 * A fixed shell script waits, as that user, until it was put into the cgroup, and then becomes the command. It never
 * runs with our rights: the environment is the service's, and could make a privileged shell load anything.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import type { ServiceUser } from "../types.js";

/** No line on descriptor 3 means that the server is gone. All values are positional; nothing is put into the text. */
const GATE = 'IFS= read -r go <&3 || exit 125; exec 3<&-; exec "$@"';

/** What shells set, change or drop of themselves, whatever they were given. */
const SHELL_NAMES = ["PWD", "OLDPWD", "SHLVL", "_", "IFS", "OPTIND", "PPID", "LINENO", "UID", "EUID", "SHELLOPTS"];
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The command with exactly this environment, whatever the shell before it did to it. What has to be given again
 * (names with dots, which shells drop) stands in the process's arguments until its own program begins.
 */
function withExactly(env: Record<string, string>, command: string[]): string[] {
  const unset = SHELL_NAMES.filter((name) => env[name] === undefined).flatMap((name) => ["-u", name]);
  const again = Object.entries(env).filter(([name]) => SHELL_NAMES.includes(name) || !SHELL_NAME.test(name));
  return ["/usr/bin/env", ...unset, "--", ...again.map(([name, value]) => `${name}=${value}`), ...command];
}

export interface LaunchSpec {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  user: ServiceUser;
  /** Path of setpriv where it can forbid new privileges. */
  setpriv: string | null;
  stdin: "ignore" | "pipe";
}

export interface Launched {
  child: ChildProcess;
  pid: number;
  stdout: Readable;
  stderr: Readable;
  /** Puts it into a cgroup by these files. @throws SERVICE_START_FAILED; nothing of it is left */
  enter(procsFiles: string[]): Promise<void>;
  /** Lets the command begin. Before it, nothing of it ran. */
  begin(): void;
}

const failed = (spec: LaunchSpec, cause: unknown): StackwardenError => {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new StackwardenError("SERVICE_START_FAILED", `${spec.argv[0]} cannot be started: ${code ?? message}.`, {
    hint:
      code === "ENOENT" || code === "EACCES"
        ? `Check that ${spec.cwd} exists and that ${spec.user.name} may enter it.`
        : "The server's log on stderr has the details.",
    cause,
  });
};

/**
 * @returns with the process waiting for `begin`
 * @throws SERVICE_START_FAILED; nothing of it is left
 */
export async function launch(spec: LaunchSpec): Promise<Launched> {
  const { argv, cwd, env, user, setpriv, stdin } = spec;
  const command = setpriv === null ? argv : [setpriv, "--no-new-privs", "--", ...argv];
  const root = process.getuid?.() === 0;
  let child: ChildProcess;
  try {
    child = spawn("/bin/sh", ["-c", GATE, "stackwarden", ...withExactly(env, command)], {
      cwd,
      env,
      // Its own group: signals to the server's terminal do not reach it, and it can be ended as a whole.
      detached: true,
      stdio: [stdin, "pipe", "pipe", "pipe"],
      // Node drops supplementary groups with the user.
      ...(root ? { uid: user.uid, gid: user.gid } : {}),
    });
  } catch (error) {
    throw failed(spec, error);
  }
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(failed(spec, error)));
  });
  const gate = child.stdio[3] as Writable;
  // The process may end before it reads.
  gate.on("error", () => undefined);
  const pid = child.pid as number;
  return {
    child,
    pid,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    enter: async (procsFiles) => {
      try {
        for (const file of procsFiles) await writeFile(file, String(pid));
      } catch (error) {
        gate.destroy();
        child.kill("SIGKILL");
        throw new StackwardenError(
          "SERVICE_START_FAILED",
          `${argv[0]} cannot be put into its cgroup: ${(error as NodeJS.ErrnoException).code}.`,
          { hint: "`stackwarden doctor` says what this machine can do.", cause: error },
        );
      }
    },
    begin: () => gate.end("go\n"),
  };
}

/** Ends every process of a group; true when there was one. */
export function killGroup(pid: number, signal: NodeJS.Signals = "SIGKILL"): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}
