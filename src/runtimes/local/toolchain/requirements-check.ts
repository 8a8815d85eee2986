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
const DEADLINE_MS = 700;
/** The variable of the server's environment that turns namespaces of services off. */
const NAMESPACES_VARIABLE = "STACKWARDEN_NAMESPACES";

/** Functions that locate programs. */
export interface Search extends Pick<typeof binaries, "findPostgresPackage" | "findPython" | "findRedis"> {
  findProgram(name: string): Promise<string | null>;
  /** A sentence about programs with these names that the server does not run; empty when there are none. */
  refusedPrograms(names: string[]): Promise<string>;
}

const SEARCH: Search = {
  ...binaries,
  findProgram,
  refusedPrograms: async (names) => refusedPrograms(await lookUpProgram(names)),
};

async function installation({ findProgram }: Search, packages: Packages): Promise<string> {
  const hasManager = process.platform === "darwin" || (await findProgram("apt-get")) !== null;
  return hasManager ? installCommand(packages) : `Install ${packages.debian} with this system's package manager.`;
}

/** What a program prints; null when it fails, `late` when it does not end. */
async function output(program: string, args: readonly string[]): Promise<{ text: string | null; late?: true }> {
  // Without the server's environment, so that a virtual environment of the operator is not found.
  const options = {
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL" as const,
    env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
  };
  return run(program, args, options).then(
    ({ stdout }) => ({ text: stdout.trim() }),
    (error: { killed?: boolean }) => (error.killed === true ? { text: null, late: true } : { text: null }),
  );
}

const late = (check: string, program: string): Finding => ({
  check,
  ok: false,
  message: `${program} did not answer within ${DEADLINE_MS / 1000} s.`,
  fix: "Check again when the machine is less busy.",
});

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
  const redisPath = await search.findRedis();
  const answer = redisPath === null ? null : await output(redisPath, ["--version"]);
  const version = answer?.text ?? null;
  if (version !== null) return { check: "redis", ok: true, message: `${version.split(" sha=")[0]} (${redisPath})` };
  if (redisPath !== null && answer?.late) return late("redis", redisPath);
  return {
    check: "redis",
    ok: false,
    message:
      redisPath === null
        ? `Neither redis-server nor valkey-server was found.${await search.refusedPrograms(binaries.REDIS_PROGRAMS)}`
        : `${redisPath} does not run.`,
    fix: await installation(search, REDIS),
  };
}

/** Finds venv and ensurepip without importing them, and without site packages: that takes a third of the time. */
const PYTHON_VERSION: readonly string[] = [
  ...["-I", "-S", "-c"],
  'import importlib.util as util, sys; sys.exit(any(util.find_spec(name) is None for name in ("ensurepip", "venv")) or print(sys.version.split()[0]))',
];

async function python(search: Search): Promise<Finding> {
  const pythonPath = await search.findPython();
  const answer = pythonPath === null ? null : await output(pythonPath, PYTHON_VERSION);
  const version = answer?.text ?? null;
  if (version !== null) return { check: "python", ok: true, message: `Python ${version} with venv (${pythonPath})` };
  if (pythonPath !== null && answer?.late) return late("python", pythonPath);
  return {
    check: "python",
    ok: false,
    message: pythonPath === null ? "No system python3 was found." : `${pythonPath} lacks venv or ensurepip.`,
    fix: await installation(search, PYTHON),
  };
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
