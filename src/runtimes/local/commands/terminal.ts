/**
 * A terminal for a command: `script` of util-linux opens it inside the service's namespaces, as the service's user.
 * Its standard input and output are pipes to the server.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { CommandTerminal, ExecRequest, TerminalSize } from "../../../stack/runtime.js";
import { executable } from "../../../system/find-program.js";
import { noTerminal } from "../../shared/no-terminal.js";
import type { CommandSpec } from "./place.js";

const execute = promisify(execFile);

const SCRIPT = "/usr/bin/script";
const STTY = ["/usr/bin/stty", "/bin/stty"];
/** The first version with `--echo`. */
const LEAST_VERSION = [2, 36] as const;
const ARGUMENT = "STACKWARDEN_ARG_";

/**
 * Reports the terminal's device in the first line, sets its size, and executes the command. The command's words are
 * values of variables, so that no shell reads them.
 */
const START = `PATH=/usr/bin:/bin tty
PATH=/usr/bin:/bin stty rows "$STACKWARDEN_ROWS" columns "$STACKWARDEN_COLUMNS"
if [ -n "\${STACKWARDEN_SHELL+set}" ]; then SHELL=$STACKWARDEN_SHELL; else unset SHELL; fi
unset STACKWARDEN_ROWS STACKWARDEN_COLUMNS STACKWARDEN_SHELL OLDPWD
set --
__stackwarden_n=1
while eval "[ -n \\"\\\${${ARGUMENT}$__stackwarden_n+set}\\" ]"; do
  eval "set -- \\"\\$@\\" \\"\\$${ARGUMENT}$__stackwarden_n\\"; unset ${ARGUMENT}$__stackwarden_n"
  __stackwarden_n=$((__stackwarden_n + 1))
done
unset __stackwarden_n
exec "$@"`;

let checked: Promise<string> | undefined;

/** Fails when this machine has no suitable `script`. @returns the path of `stty` */
async function requirePrograms(): Promise<string> {
  const [stty] = (await Promise.all(STTY.map(executable))).filter((path) => path !== null);
  const { stdout } = await execute(SCRIPT, ["--version"], { env: {}, cwd: "/", timeout: 5000 });
  const [, major = 0, minor = 0] = (/util-linux (\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  if (stty === undefined || major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]))
    throw new Error("too old");
  return stty;
}

/** @throws UNSUPPORTED */
export async function terminalPrograms(): Promise<string> {
  checked ??= requirePrograms();
  try {
    return await checked;
  } catch {
    checked = undefined;
    throw noTerminal("the local runtime needs `script` of util-linux 2.36 or newer");
  }
}

/** The command of `spec` in a terminal. */
export function inTerminal(spec: CommandSpec, { size }: CommandTerminal): CommandSpec {
  const { rows, columns } = size();
  const { SHELL, ...rest } = spec.env;
  return {
    ...spec,
    argv: [SCRIPT, "--quiet", "--return", "--flush", "--echo", "always", "--command", START, "/dev/null"],
    env: {
      ...rest,
      ...Object.fromEntries(spec.argv.map((word, at) => [`${ARGUMENT}${at + 1}`, word])),
      ...(SHELL === undefined ? {} : { STACKWARDEN_SHELL: SHELL }),
      // `script` runs its command with this shell.
      SHELL: "/bin/sh",
      STACKWARDEN_ROWS: String(rows),
      STACKWARDEN_COLUMNS: String(columns),
    },
  };
}

/** Longest first line: a device's path. */
const MOST_HEAD = 64;

/** Passes the terminal's output on, without the first line, which has the terminal's device. */
export function terminalOutput(onOutput: ExecRequest["onOutput"]) {
  let head: Buffer | null = Buffer.alloc(0);
  let device: string | null = null;
  const passHead = (all: Buffer, lineEnd: number): void | Promise<void> => {
    const line = all.subarray(0, lineEnd).toString("latin1").trim();
    const isDevice = /^\/dev\/pts\/\d{1,9}$/.test(line);
    if (isDevice) device = line;
    const rest = isDevice ? all.subarray(lineEnd + 1) : all;
    head = null;
    return rest.length === 0 ? undefined : onOutput("stdout", rest);
  };
  return {
    get device(): string | null {
      return device;
    },
    onOutput: (_stream: "stdout" | "stderr", chunk: Buffer): void | Promise<void> => {
      if (head === null) return onOutput("stdout", chunk);
      head = Buffer.concat([head, chunk]);
      const lineEnd = head.indexOf("\n");
      if (lineEnd >= 0) return passHead(head, lineEnd);
      return head.length < MOST_HEAD ? undefined : passHead(head, 0);
    },
    /** Passes on what arrived without the end of a first line: `script` or its shell did not begin. */
    end: async (): Promise<void> => {
      if (head !== null) await passHead(head, head.length);
    },
  };
}

/**
 * Applies changes of the terminal's size, one after the other.
 * @param run executes a program where the terminal is; its failure is ignored, because the command may have ended
 */
export function followSize(
  terminal: CommandTerminal,
  device: () => string | null,
  run: (args: string[]) => Promise<unknown>,
): () => void {
  let latest: TerminalSize | null = null;
  let isApplying = false;
  const apply = async (): Promise<void> => {
    for (let size = latest; size !== null; size = latest) {
      latest = null;
      const path = device();
      if (path === null) return;
      const args = ["-F", path, "rows", String(size.rows), "columns", String(size.columns)];
      await run(args).catch(() => undefined);
    }
  };
  return terminal.onResize(() => {
    latest = terminal.size();
    if (isApplying) return;
    isApplying = true;
    void apply().finally(() => {
      isApplying = false;
    });
  });
}
