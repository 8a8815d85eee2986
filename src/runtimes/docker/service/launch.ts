/** Starts a created container and waits until its program runs. On failure no container is left. */
import { rm } from "node:fs/promises";
import { StackwardenError } from "../../../errors.js";
import type { StartServiceRequest } from "../../../stack/runtime.js";
import { type HookContext, runPostStart } from "../../shared/hooks.js";
import { imageHealthcheck } from "../../shared/image-healthcheck.js";
import { missingUser } from "../../shared/registry-faults.js";
import type { PreparedContainer } from "../container/prepare.js";
import { rootRefused } from "../container/user.js";
import { userIds } from "../container/user-ids.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isPortTaken, serviceError } from "../engine/errors.js";
import type { Image } from "../image/image.js";
import { removeContainer } from "../leftovers/remove.js";
import type { EngineWatch } from "../stack/engine-watch.js";
import type { ServiceVolume } from "../volumes/ensure.js";
import { removeNewVolumes } from "../volumes/remove.js";
import { DockerService } from "./docker-service.js";
import { execInContainer } from "./exec.js";
import { Instance } from "./instance.js";
import { refuseRedirectedBinds } from "./mounted-binds.js";
import { observeUser } from "./observe.js";
import { ContainerStats } from "./stats.js";

export interface LaunchOptions {
  engine: Engine;
  request: StartServiceRequest;
  prepared: PreparedContainer;
  image: Image;
  networks: readonly { name: string; direct: boolean }[];
  watch: EngineWatch;
  notes: readonly string[];
  /** False for a volume that another service of the stack mounts as well. */
  unshared(volume: ServiceVolume): boolean;
  /** Called when its container runs: from now on the stack manages it. */
  started(container: { id: string; startedAt: string }): void;
  /** Called after its exit. Never rejects. */
  untilEnded(container: string): Promise<void>;
}

const startError = (error: unknown, service: string, host: string): unknown => {
  const message = engineMessage(error);
  const user = missingUser(message);
  if (user !== null)
    return new StackwardenError("SERVICE_START_FAILED", `The image of ${service} has no user ${user}.`, {
      hint: "Give a number such as 1000:1000 as its user, or a name that the image has.",
      details: { service },
      cause: error,
    });
  if (
    /executable file not found|exec: "[^"]*"|no such file or directory: unknown|permission denied: unknown/i.test(
      message,
    )
  )
    return new StackwardenError(
      "SERVICE_START_FAILED",
      `The program of ${service} cannot be run in its image: ${message}`,
      {
        hint: "Correct its command or entrypoint.",
        details: { service },
        cause: error,
      },
    );
  return isPortTaken(error) ? error : serviceError(error, service, "starting its container", host);
};

const nothing = (): undefined => undefined;

/**
 * @throws SERVICE_START_FAILED, POLICY_VIOLATION, RUNTIME_UNAVAILABLE, the engine's error for a port that is taken, the
 * signal's reason
 */
export async function launch(options: LaunchOptions): Promise<DockerService> {
  const { engine, request, prepared, networks, watch } = options;
  const { docker } = engine;
  const { service, signal, sink } = request;
  const { id, user } = prepared;
  const container = docker.getContainer(id);
  let instance: Instance | undefined;
  try {
    signal.throwIfAborted();
    request.phase("starting its container");
    await container.start();
    const inspection = await container.inspect();
    options.started({ id, startedAt: inspection.State.StartedAt });
    instance = new Instance({
      service: service.name,
      docker,
      container: id,
      tty: inspection.Config.Tty,
      podman: engine.info.podman,
      sink,
      watch,
      release: async () => {
        await rm(prepared.secrets, { recursive: true, force: true }).catch(() => undefined);
        await options.untilEnded(id).catch(() => undefined);
      },
    });
    await refuseRedirectedBinds(engine, inspection, service);
    const observed = await observeUser(engine, id, service.name, inspection.State.Pid, prepared.uid);
    if (observed.uid === 0 && !service.allowRoot) throw rootRefused(service.name);
    signal.throwIfAborted();
    const direct = networks.filter((network) => network.direct).map(({ name }) => name);
    const addresses = direct.flatMap((name) => inspection.NetworkSettings.Networks[name]?.IPAddress || []);
    const { Ports } = inspection.NetworkSettings;
    const target = {
      docker,
      container: id,
      service: service.name,
      sameMachine: engine.sameMachine,
      // Podman can give a command a separate control group.
      ...(engine.sameMachine && !engine.info.podman ? { pid: inspection.State.Pid } : {}),
      init: engine.info.dockerInit,
    };
    const running = instance;
    const hooks: HookContext = {
      service,
      sink,
      exec: async (command, user) => {
        if (user === undefined) return execInContainer(target, command);
        const ids = service.allowRoot ? null : await userIds(docker, id, options.image.id, user);
        if (ids?.uid === 0) throw rootRefused(service.name);
        return execInContainer({ ...target, user }, command);
      },
    };
    if (service.postStart !== undefined) request.phase("running its post_start hooks");
    await runPostStart(hooks, signal);
    return new DockerService({
      generation: request.generation,
      startedAt: Date.parse(inspection.State.StartedAt),
      pid: engine.sameMachine && inspection.State.Pid > 0 ? inspection.State.Pid : null,
      enginePid: engine.sameMachine ? inspection.State.Pid : 0,
      user: {
        uid: observed.uid,
        name: (service.user ?? user).split(":")[0] || user,
        enforcement: observed.enforcement,
      },
      owner: () => userIds(docker, id, options.image.id, user),
      notes: [...prepared.notes, ...options.notes],
      newVolumes: prepared.newVolumes,
      command: [inspection.Path, ...inspection.Args],
      imageHealthcheck: imageHealthcheck(options.image.healthcheck, service.healthTimings),
      engine,
      container: id,
      instance,
      stats: new ContainerStats(docker, id, () => watch.oomKills(id), engine.sameMachine ? inspection.State.Pid : 0),
      probing: {
        service,
        target,
        reach: {
          address: addresses[0] ?? null,
          hostPort: (port) => {
            const bound = (Ports as Record<string, { HostPort: string }[] | null>)[`${port}/tcp`]?.[0]?.HostPort;
            return bound === undefined || !engine.socket ? undefined : Number(bound);
          },
          read: async (path, until) => {
            let text = "";
            const { exitCode } = await execInContainer(target, {
              command: ["cat", path],
              signal: until,
              onOutput: (_stream, chunk) => {
                text += chunk.toString("latin1");
              },
            });
            if (exitCode !== 0) throw new Error(`${path} cannot be read inside the container`);
            return text;
          },
        },
        hasEnded: () => running.exit !== null,
      },
      hooks,
    });
  } catch (error) {
    if (instance !== undefined) await instance.stop(0, "SIGKILL").catch(() => undefined);
    else {
      await removeContainer(docker, id).catch(nothing);
      await rm(prepared.secrets, { recursive: true, force: true }).catch(nothing);
    }
    // A program that was ended may have begun to initialise them.
    await removeNewVolumes(docker, prepared.newVolumes.filter(options.unshared)).catch(nothing);
    signal.throwIfAborted();
    watch.over.signal.throwIfAborted();
    throw startError(error, service.name, engine.address.host);
  }
}
