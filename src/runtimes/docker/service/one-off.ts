/** One command in a container of its own, made like the service's and removed afterwards. */
import { rm } from "node:fs/promises";
import type { Duplex } from "node:stream";
import type { ExecResult, OneOffRequest } from "../../../stack/runtime.js";
import { exitOf } from "../../shared/exit-codes.js";
import { type PrepareOptions, prepareContainer } from "../container/prepare.js";
import { rootRefused } from "../container/user.js";
import { serviceError } from "../engine/errors.js";
import { removeContainer } from "../leftovers/remove.js";
import type { EngineWatch } from "../stack/engine-watch.js";
import { demultiplex } from "./exec.js";
import { observeUser } from "./observe.js";

export interface OneOffOptions extends PrepareOptions {
  request: OneOffRequest;
  watch: EngineWatch;
}

/** @throws as a start of the service does; an abort of the signal is a result */
export async function runOneOff(options: OneOffOptions): Promise<ExecResult> {
  const { engine, request, watch, service } = options;
  const { docker } = engine;
  const { exec, signal } = request;
  const environment = { ...service.environment, ...exec.environment };
  const prepared = await prepareContainer({
    ...options,
    service: { ...service, environment, ...(exec.workdir === undefined ? {} : { workingDir: exec.workdir }) },
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
  try {
    stream = (await container.attach({
      stream: true,
      hijack: true,
      stdin: true,
      stdout: true,
      stderr: true,
    })) as unknown as Duplex;
    stream.on("error", () => undefined);
    const reading = demultiplex(stream, exec.onOutput).catch((error: unknown) => {
      if (!killed && !watch.over.signal.aborted) throw error;
    });
    reading.catch(() => undefined);
    if (signal.aborted) return { exitCode: null, signal: "SIGKILL", oomKilled: false };
    await container.start();
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    const { State } = await container.inspect();
    const { uid } = await observeUser(engine, prepared.id, service.name, State.Pid, prepared.user);
    if (uid === 0 && !service.allowRoot) throw rootRefused(service.name);
    stream.end(exec.stdin ?? Buffer.alloc(0));
    await container.wait();
    const ended = (await container.inspect()).State;
    await reading;
    const result = exitOf(ended.ExitCode, Date.now(), ended.OOMKilled);
    return {
      exitCode: result.exitCode,
      signal: killed ? (result.signal ?? "SIGKILL") : result.signal,
      oomKilled: result.oomKilled,
    };
  } catch (error) {
    throw serviceError(error, service.name, "running the command", engine.address.host);
  } finally {
    signal.removeEventListener("abort", kill);
    stream?.destroy();
    await removeContainer(docker, prepared.id).catch(() => undefined);
    await rm(prepared.secrets, { recursive: true, force: true }).catch(() => undefined);
  }
}
