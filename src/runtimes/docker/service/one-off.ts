/** Runs one command in a separate container, configured like the service's and removed afterwards. */
import { rm } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { type ExecResult, KILLED_RESULT, type OneOffRequest } from "../../../stack/runtime.js";
import { exitOf } from "../../shared/exit-codes.js";
import { type PrepareOptions, prepareContainer } from "../container/prepare.js";
import { rootRefused } from "../container/user.js";
import { engineMessage, isNotFound, serviceError } from "../engine/errors.js";
import { removeContainer } from "../leftovers/remove.js";
import type { EngineWatch } from "../stack/engine-watch.js";
import { demultiplex, followSize, noProgram, passTerminal } from "./exec.js";
import { CATATONIT_FAILED } from "./instance.js";
import { refuseRedirectedBinds } from "./mounted-binds.js";
import { observeUser } from "./observe.js";

export interface OneOffOptions extends PrepareOptions {
  request: OneOffRequest;
  watch: EngineWatch;
}

/** Exit code with which the container's init reports a program that cannot be run. */
const NO_PROGRAM = /^\[FATAL tini \(\d+\)\] exec .* failed: /m;

/**
 * @returns null for a container that no longer exists
 * @throws every other error
 */
const ignoreMissing = (error: unknown): null => {
  if (isNotFound(error)) return null;
  throw error;
};

/** @throws the errors of a service start; an abort of the signal is a result instead */
export async function runOneOff(options: OneOffOptions): Promise<ExecResult> {
  const { engine, request, watch, service } = options;
  const { docker } = engine;
  const { exec, signal } = request;
  const environment = { ...service.environment, ...exec.environment };
  const prepared = await prepareContainer({
    ...options,
    service: {
      ...service,
      environment,
      ...(exec.workdir === undefined ? {} : { workingDir: exec.workdir }),
      tty: exec.terminal !== undefined,
    },
    command: [...exec.command],
    ports: [],
  });
  const container = docker.getContainer(prepared.id);
  let killed = false;
  const kill = (): void => {
    killed = true;
    void container.kill({ signal: "SIGKILL" }).catch(() => undefined);
  };
  let stream: Duplex | undefined;
  let unfollow = (): void => undefined;
  try {
    stream = (await container.attach({
      stream: true,
      hijack: true,
      stdin: true,
      stdout: true,
      stderr: true,
    })) as unknown as Duplex;
    stream.on("error", () => undefined);
    let tail = "";
    const { terminal } = exec;
    const read = terminal === undefined ? demultiplex : passTerminal;
    const reading = read(stream, (kind, chunk) => {
      if (kind === "stderr" || terminal !== undefined) tail = (tail + chunk.toString("latin1")).slice(-400);
      return exec.onOutput(kind, chunk);
    }).catch((error: unknown) => {
      if (!killed && !watch.over.signal.aborted) throw error;
    });
    reading.catch(() => undefined);
    if (signal.aborted) return KILLED_RESULT;
    await container.start();
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    const inspection = await container.inspect();
    await refuseRedirectedBinds(engine, inspection, service);
    const { State } = inspection;
    const { uid } = await observeUser(engine, prepared.id, service.name, State.Pid, prepared.uid);
    if (uid === 0 && !service.allowRoot) throw rootRefused(service.name);
    if (terminal === undefined) stream.end(exec.stdin ?? Buffer.alloc(0));
    else {
      unfollow = followSize(terminal, container);
      terminal.input.pipe(stream);
    }
    // The container may be removed meanwhile, by the end of the stack or by another client.
    const ended = await container.wait().then(
      async () => (await container.inspect()).State,
      (error: unknown) => ignoreMissing(error),
    );
    await reading;
    if (ended === null) return KILLED_RESULT;
    if (!killed && ((ended.ExitCode === 127 && NO_PROGRAM.test(tail)) || CATATONIT_FAILED.test(tail)))
      throw noProgram(service.name, exec.command);
    const { exitCode, signal: by, oomKilled } = exitOf(ended.ExitCode, Date.now(), ended.OOMKilled);
    return { exitCode, signal: killed ? (by ?? "SIGKILL") : by, oomKilled };
  } catch (error) {
    if (isNotFound(error)) return KILLED_RESULT;
    if (/executable file not found|exec: "[^"]*"/i.test(engineMessage(error)))
      throw noProgram(service.name, exec.command);
    throw serviceError(error, service.name, "running the command", engine.address.host);
  } finally {
    signal.removeEventListener("abort", kill);
    unfollow();
    stream?.destroy();
    await removeContainer(docker, prepared.id).catch(() => undefined);
    await rm(prepared.secrets, { recursive: true, force: true }).catch(() => undefined);
  }
}
