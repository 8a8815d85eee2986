/** Inspects the background server for `doctor`: whether it runs, and how it differs from this program. Never starts it. */
import { delimiter } from "node:path";
import { type ErrorReport, toStackwardenError } from "../errors.js";
import type { RuntimeStatus } from "../stack/runtime.js";
import { connectToDaemon } from "./connect.js";
import { daemonPaths } from "./daemon-paths.js";
import type { ServerStatus } from "./handshake.js";

/** Short, because `doctor` reports a server that hangs instead of waiting for it. */
const PATIENCE_MS = 5_000;

export type Finding = Omit<RuntimeStatus["findings"][number], "check">;

export interface DaemonStatus {
  running: boolean;
  /** Path of the socket, also when the server is not running. */
  socket: string;
  /** Path of the log, which is kept after the server ends. */
  log: string;
  status: ServerStatus | null;
  /** Why the server cannot be reached; null otherwise. */
  problem: ErrorReport | null;
  findings: Finding[];
}

export interface InspectDaemonRequest {
  stateDir: string;
  /** Version of this program. */
  version: string;
  /** This process's PATH. */
  path: string;
}

/** Never throws: a problem is part of the result. */
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
        ? [{ ok: true, message: "not running; the first agent or `stackwarden up` starts it" }]
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
  const findings: Finding[] = [
    { ok: true, message: `running: process ${status.pid}, version ${status.version}, since ${status.started_at}` },
  ];
  if (status.version !== version) {
    const idle = stacks.length === 0 && clients === 0 && http === undefined;
    findings.push({
      ok: idle,
      message: `has version ${status.version}, this program ${version}: ${
        idle
          ? "the next agent or command replaces it, because it is idle"
          : "agents and commands of this version are refused while it is in use"
      }`,
      ...(idle ? {} : { fix: "stackwarden server stop --force    (its stacks are stopped, data is kept)" }),
    });
  }
  findings.push(comparePath(status.path, path), {
    ok: true,
    message:
      "uses the environment of the process that started it; log_level and server_idle_seconds come from your configuration file, roots, engines and other settings from each client",
  });
  return findings;
}

/** The server looks up programs, so a PATH that differs from this shell's explains programs that it does not find. */
function comparePath(theirs: string | undefined, ours: string): Finding {
  if (theirs === undefined) return { ok: true, message: "does not report its PATH (an earlier version)" };
  const [its, own] = [theirs, ours].map((one) => one.split(delimiter).filter(Boolean)) as [string[], string[]];
  const missing = own.filter((folder) => !its.includes(folder));
  if (missing.length > 0)
    return {
      ok: false,
      message: `its PATH, inherited from the process that started it, lacks ${missing.join(", ")}`,
      fix: "stackwarden server stop    (if it needs programs there; the next server inherits the PATH of its first client)",
    };
  const same = its.length === own.length && its.every((folder, index) => folder === own[index]);
  return { ok: true, message: same ? "has the PATH of this shell" : `has another PATH: ${theirs}` };
}
