/** What `doctor` says of the user's background server: whether one runs, and what about it may surprise. Starts none. */
import { delimiter } from "node:path";
import { type ErrorReport, toStackwardenError } from "../errors.js";
import type { RuntimeStatus } from "../stack/runtime.js";
import { connectToDaemon } from "./connect.js";
import { daemonPaths } from "./daemon-paths.js";
import type { ServerStatus } from "./handshake.js";

/** One that hangs is said to hang; whoever asks what is wrong does not want to wait for it. */
const PATIENCE_MS = 5_000;

export type Finding = Omit<RuntimeStatus["findings"][number], "check">;

export interface DaemonStatus {
  running: boolean;
  /** Its socket, also while none runs. */
  socket: string;
  /** Its log, which outlives it. */
  log: string;
  status: ServerStatus | null;
  /** Why it cannot be asked; null otherwise. */
  problem: ErrorReport | null;
  findings: Finding[];
}

export interface InspectDaemonRequest {
  stateDir: string;
  /** This program's. */
  version: string;
  /** This process's PATH. */
  path: string;
}

/** Never fails: what is wrong is what is asked for. */
export async function inspectDaemon({ stateDir, version, path }: InspectDaemonRequest): Promise<DaemonStatus> {
  const { socket, log } = daemonPaths(stateDir);
  try {
    const joined = await connectToDaemon({
      stateDir,
      version,
      purpose: "status",
      cwd: process.cwd(),
      flags: {},
      env: {},
      patienceMs: PATIENCE_MS,
    });
    joined?.socket.destroy();
    const status = joined?.welcome.server ?? null;
    const findings: Finding[] =
      status === null
        ? [{ ok: true, message: "none runs; the first agent or `stackwarden up` starts one" }]
        : findingsOf(status, version, path);
    return { running: status !== null, socket, log, status, problem: null, findings };
  } catch (error) {
    const problem = toStackwardenError(error).report();
    const findings = [{ ok: false, message: problem.message, fix: problem.hint }];
    return { running: problem.code === "SERVER_UNAVAILABLE", socket, log, status: null, problem, findings };
  }
}

function findingsOf(status: ServerStatus, version: string, path: string): Finding[] {
  const { stacks, clients, http } = status;
  const found: Finding[] = [
    { ok: true, message: `runs: process ${status.pid}, version ${status.version}, since ${status.started_at}` },
  ];
  if (status.version !== version) {
    const idle = stacks.length === 0 && clients === 0 && http === undefined;
    found.push({
      ok: idle,
      message: `has version ${status.version}, this program ${version}: ${
        idle
          ? "the next agent or command replaces it, since it is idle"
          : "agents and commands of this version are refused while it is used"
      }`,
      ...(idle ? {} : { fix: "stackwarden server stop --force    (its stacks are stopped, their data stays)" }),
    });
  }
  found.push(comparePath(status.path, path), {
    ok: true,
    message:
      "its environment is that of the process that started it, log_level and server_idle_seconds are your configuration file's; roots, engines and the other settings are each client's own",
  });
  return found;
}

/** Programs are looked for by the server: what this shell finds says little when it looks elsewhere. */
function comparePath(theirs: string | undefined, ours: string): Finding {
  if (theirs === undefined) return { ok: true, message: "does not say what its PATH is (an earlier version)" };
  const [its, own] = [theirs, ours].map((one) => one.split(delimiter).filter(Boolean)) as [string[], string[]];
  const lacking = own.filter((folder) => !its.includes(folder));
  if (lacking.length > 0)
    return {
      ok: false,
      message: `looks for programs in the PATH of whoever started it, which lacks ${lacking.join(", ")}`,
      fix: "stackwarden server stop    (if it misses programs there; the next client's PATH is then the server's)",
    };
  const same = its.length === own.length && its.every((folder, index) => folder === own[index]);
  return { ok: true, message: same ? "has this shell's PATH" : `has a PATH of its own: ${theirs}` };
}
