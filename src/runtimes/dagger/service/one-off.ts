/** Runs one command in a separate instance of a service, which ends with the command. */
import { randomBytes } from "node:crypto";
import type { LogSink } from "../../../stack/logs/types.js";
import type { ExecResult, OneOffRequest } from "../../../stack/runtime.js";
import { KILLED } from "../../shared/exit-codes.js";
import type { ReadyContainer } from "../container/container.js";
import type { EngineHost } from "../engine-host/types.js";
import type { DaggerSession } from "../session/types.js";
import { launch } from "./launch.js";

/** Output of the instance, apart from the command's. */
const NO_LOG: LogSink = { write: () => undefined, line: () => undefined, end: () => undefined };

export interface OneOffOptions {
  session: DaggerSession;
  host: EngineHost;
  request: OneOffRequest;
  ready: ReadyContainer;
}

/**
 * The command runs through the engine's host, not as the program of the container: the engine's telemetry loses bytes
 * that are not UTF-8 and applies no back-pressure.
 * @throws the errors of a service start; COMMAND_NOT_FOUND
 */
export async function runOneOff({ session, host, request, ready }: OneOffOptions): Promise<ExecResult> {
  const { signal, exec } = request;
  const { healthcheck: _healthcheck, ...service } = request.service;
  const instance = await launch({
    session,
    host,
    ready,
    // The service itself may be running under its own name.
    hostname: `${service.name}-run-${randomBytes(4).toString("hex")}`,
    request: { ...request, service: { ...service, ports: [] }, sink: NO_LOG },
    dial: async () => {
      throw new Error("a one-off command has no health check");
    },
  });
  try {
    // Its environment is the instance's.
    const { command: _command, environment: _environment, ...streams } = exec;
    const result = await instance.exec({ ...streams, command: ready.oneOff, signal });
    if (result.exitCode !== KILLED || request.limits.memory_mb === undefined) return result;
    const { oom_kills } = await instance.stats();
    return { ...result, oomKilled: (oom_kills ?? 0) > 0 };
  } finally {
    await instance.stop({ graceMs: 0 });
  }
}
