/** Opens a stack: first its ports, then its networks and the watch on the engine. On failure nothing is left. */
import type { OpenStackRequest } from "../../../stack/runtime.js";
import type { Engine } from "../engine/engine.js";
import { LABEL, serverId, stackLabels } from "../leftovers/labels.js";
import { removeLabelled } from "../leftovers/remove.js";
import { sweepProject } from "../leftovers/sweep.js";
import { DockerStack, newLedger } from "./docker-stack.js";
import { EngineWatch } from "./engine-watch.js";
import { StackNetworks } from "./network.js";
import { composeWarning } from "./other-containers.js";

export interface OpenStackOptions {
  request: OpenStackRequest;
  engine: Engine;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  patienceMs?: number;
  warn(message: string): void;
  onClose(stack: DockerStack): Promise<void>;
}

/** @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, the signal's reason */
export async function openStack(options: OpenStackOptions): Promise<DockerStack> {
  const { request, engine, env, retry, patienceMs, warn, onClose } = options;
  const { signal, projectId, stateDir, notice } = request;
  const { docker, address } = engine;
  const identity = { projectId, stateDir };
  const labels = { ...stackLabels(identity), [LABEL.server]: serverId() };
  const ledger = newLedger(engine, projectId);
  const running = new Map<string, string>();
  const watch = new EngineWatch({
    docker,
    host: address.host,
    labels,
    running: () => [...running].map(([id, startedAt]) => ({ id, startedAt })),
    notice: (message) => notice({ type: "warning", message }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  try {
    signal.throwIfAborted();
    await ledger.apply(request.definition);
    const left = await sweepProject(docker, identity);
    if (left > 0) warn(`${projectId}: removed ${left} containers that an earlier server left behind.`);
    const late = engine.info.podman && engine.sameMachine && !engine.info.rootless;
    const networks = new StackNetworks({
      docker,
      identity,
      host: address.host,
      late,
      sameMachine: engine.sameMachine,
      warn: (message) => notice({ type: "warning", message }),
    });
    const [warning] = await Promise.all([
      composeWarning(docker, request.folder),
      watch.open(),
      ...Object.values(request.definition.services).map((service) => networks.of(service, request.definition)),
    ]);
    if (warning !== null) notice({ type: "warning", message: warning });
    const stack = new DockerStack(request, { engine, ledger, networks, watch, running, env, retry, onClose });
    if (signal.aborted) {
      await stack.close();
      signal.throwIfAborted();
    }
    return stack;
  } catch (error) {
    watch.close();
    await ledger.close();
    await removeLabelled(docker, labels).catch(() => undefined);
    throw error;
  }
}
