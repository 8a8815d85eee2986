/**
 * Runs services on a container engine: Docker Engine, Docker Desktop, Podman, and others with the Engine API. Creating
 * it is cheap: the first call loads the client library and contacts the engine.
 */
import { cpus, totalmem } from "node:os";
import { StackwardenError } from "../../errors.js";
import type {
  CheckPortsRequest,
  CopyVolumesRequest,
  Endpoint,
  OpenStackRequest,
  RuntimeStack,
  RuntimeStatus,
  StackRuntime,
  VolumesRequest,
} from "../../stack/runtime.js";
import type { StackSettings } from "../../stack/settings.js";
import type { EngineAddress } from "./engine/address.js";
import type { Engine } from "./engine/engine.js";
import type { Watchdog } from "./leftovers/watchdog.js";
import type { DockerSettings } from "./settings.js";
import type { DockerStack } from "./stack/docker-stack.js";

export interface DockerRuntimeOptions {
  settings: DockerSettings;
  /** Engine settings of the client. Default: the same as the server's. */
  settingsOf?(client: StackSettings): DockerSettings;
  /** The server's environment: DOCKER_HOST, PATH, HOME. */
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  /** Milliseconds that an engine may take to respond again before its stacks are lost. Default 10,000. */
  patienceMs?: number;
}

const MB = 1_048_576;

class DockerRuntime implements StackRuntime {
  readonly name = "docker";
  readonly #stacks = new Set<DockerStack>();
  #capacity: { cpus: number; memory_mb: number } | null = null;
  #watchdog: Watchdog | null = null;

  constructor(private readonly options: DockerRuntimeOptions) {}

  #settings(client: StackSettings | undefined): DockerSettings {
    const { settings, settingsOf } = this.options;
    return client === undefined || settingsOf === undefined ? settings : settingsOf(client);
  }

  async check(_project?: string, client?: StackSettings): Promise<RuntimeStatus> {
    const { checkEngine } = await import("./engine/check.js");
    return checkEngine({ settings: this.#settings(client), env: this.options.env });
  }

  async checkPorts({ definition, settings }: CheckPortsRequest): Promise<Endpoint[]> {
    const { portsOf } = await import("./stack/docker-stack.js");
    const engine = await this.#connect(this.#settings(settings));
    try {
      return await portsOf(engine, definition);
    } finally {
      await engine.close();
    }
  }

  async open(request: OpenStackRequest): Promise<RuntimeStack> {
    const { env, warn, patienceMs } = this.options;
    const { signal } = request;
    signal.throwIfAborted();
    const settings = this.#settings(request.settings);
    const [{ openStack }, { useEngine }] = await Promise.all([
      import("./stack/open-stack.js"),
      import("./volumes/all-engines.js"),
    ]);
    const engine = await this.#connect(settings, signal);
    try {
      this.#capacity = { cpus: engine.info.cpus, memory_mb: engine.info.memoryMb };
      await useEngine(engine, request);
      await this.#guard(engine, request);
      const stack = await openStack({
        request,
        engine,
        env,
        retry: settings.retry,
        ...(patienceMs === undefined ? {} : { patienceMs }),
        warn,
        onClose: async (closed) => {
          this.#stacks.delete(closed);
          await engine.close();
        },
      });
      this.#stacks.add(stack);
      return stack;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  async #connect(settings: DockerSettings, signal?: AbortSignal): Promise<Engine> {
    const [{ findAddress }, { connect }] = await Promise.all([
      import("./engine/address.js"),
      import("./engine/engine.js"),
    ]);
    const { env } = this.options;
    return connect(findAddress({ settings, env }), env, signal === undefined ? {} : { signal });
  }

  /** A separate process that removes this server's containers, networks and secret files when the server is killed. */
  async #guard(engine: Engine, { projectId, stateDir }: OpenStackRequest): Promise<void> {
    const [{ Watchdog }, { secretsFolder }] = await Promise.all([
      import("./leftovers/watchdog.js"),
      import("./container/secret-files.js"),
    ]);
    const { env } = this.options;
    this.#watchdog ??= new Watchdog(this.options);
    this.#watchdog.watch(engine.address);
    this.#watchdog.removeAtEnd(await secretsFolder({ projectId, stateDir, sameMachine: engine.sameMachine, env }));
  }

  async removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void> {
    const { removeOnAll } = await import("./volumes/all-engines.js");
    const present = await this.#presentAddress();
    const engines = { open: this.#engineAt, present: present?.host ?? null };
    const kept = await removeOnAll({ projectId, stateDir }, volumes, engines);
    for (const sentence of kept) this.options.warn(`${projectId}: ${sentence}`);
  }

  async removeProject(projectId: string, stateDir: string): Promise<readonly string[]> {
    const { removeProjectOnAll } = await import("./volumes/all-engines.js");
    return removeProjectOnAll({ projectId, stateDir }, this.#engineAt);
  }

  /** The address by the server's settings; null when they name none. */
  async #presentAddress(): Promise<EngineAddress | null> {
    const { findAddress } = await import("./engine/address.js");
    const { settings, env } = this.options;
    try {
      return findAddress({ settings, env });
    } catch {
      return null;
    }
  }

  /** The engine that holds the volumes; its certificates come from the current setting. */
  readonly #engineAt = async (host: string): Promise<Engine> => {
    const [{ connect }, present] = await Promise.all([import("./engine/engine.js"), this.#presentAddress()]);
    const address = present?.host === host ? present : { host, source: "the project's records" };
    return connect(address, this.options.env);
  };

  async copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>> {
    const { copyVolumes } = await import("./volumes/copy.js");
    return this.#withEngine(request, (engine) => copyVolumes(engine.docker, request, archiveDir));
  }

  async restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void> {
    const { restoreVolumes } = await import("./volumes/restore.js");
    await this.#withEngine(request, (engine) => restoreVolumes(engine, request, archiveDir));
  }

  async #withEngine<T>(request: VolumesRequest, task: (engine: Engine) => Promise<T>): Promise<T> {
    const [engine, { useEngine }] = await Promise.all([
      this.#connect(this.#settings(request.settings), request.signal),
      import("./volumes/all-engines.js"),
    ]);
    try {
      await useEngine(engine, request);
      return await task(engine);
    } catch (error) {
      request.signal.throwIfAborted();
      if (error instanceof StackwardenError) throw error;
      const { engineMessage } = await import("./engine/errors.js");
      throw new StackwardenError("STORAGE_FAILED", `The engine could not copy volumes: ${engineMessage(error)}`, {
        hint: "Free space on the engine's disk and in the state directory, then call again.",
        cause: error,
      });
    } finally {
      await engine.close();
    }
  }

  /** Before an engine is used, the size of this machine is reported instead. */
  capacity(): { cpus: number; memory_mb: number } {
    return this.#capacity ?? { cpus: cpus().length, memory_mb: Math.floor(totalmem() / MB) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stacks].map((stack) => stack.close()));
    await this.#watchdog?.close();
    this.#watchdog = null;
  }
}

export const createDockerRuntime = (options: DockerRuntimeOptions): StackRuntime => new DockerRuntime(options);
