/**
 * Runs services on Dagger engines. Creating it is cheap: the first stack loads the SDK and contacts the CLI and the
 * engine.
 */
import { cpus, totalmem } from "node:os";
import type { OpenStackRequest, RuntimeStack, RuntimeStatus, StackRuntime } from "../../stack/runtime.js";
import type { StackSettings } from "../../stack/settings.js";
import { unsupported } from "../shared/unsupported.js";
import { engineOf } from "./engine/engines.js";
import type { EngineHost, EngineHostOptions } from "./engine-host/types.js";
import type { Gateway, GatewayOptions } from "./gateway/types.js";
import type { OpenSession } from "./session/types.js";
import type { DaggerSettings } from "./settings.js";
import type { DaggerStack } from "./stack/dagger-stack.js";

export interface DaggerRuntimeOptions {
  settings: DaggerSettings;
  /** Engine settings of the client. Default: the same as the server's. */
  settingsOf?(client: StackSettings): DaggerSettings;
  /** Private folder for a downloaded CLI. Absent: none is downloaded. */
  programs?: string;
  /** The server's environment: PATH, and the CLI's own variables. */
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  /** Its components; tests replace them. */
  parts?: Partial<DaggerParts>;
}

export interface DaggerParts {
  openSession: OpenSession;
  openEngineHost(options: EngineHostOptions): Promise<EngineHost>;
  openGateway(options: GatewayOptions): Gateway;
}

const MB = 1024 * 1024;

class DaggerRuntime implements StackRuntime {
  readonly name = "dagger";
  readonly #stacks = new Set<DaggerStack>();
  /** Size of the most recently used engine's host. */
  #capacity: { cpus: number; memory_mb: number } | null = null;

  constructor(private readonly options: DaggerRuntimeOptions) {}

  async #parts(): Promise<DaggerParts> {
    const { parts = {} } = this.options;
    return {
      openSession: parts.openSession ?? (await import("./session/session.js")).openSession,
      openEngineHost: parts.openEngineHost ?? (await import("./engine-host/open.js")).openEngineHost,
      openGateway: parts.openGateway ?? (await import("./gateway/gateway.js")).openGateway,
    };
  }

  #settings(client: StackSettings | undefined): DaggerSettings {
    const { settings, settingsOf } = this.options;
    return client === undefined || settingsOf === undefined ? settings : settingsOf(client);
  }

  async check(project?: string, client?: StackSettings): Promise<RuntimeStatus> {
    const { env, warn, programs } = this.options;
    const settings = this.#settings(client);
    const [{ checkEngines }, { openEngineHost }] = await Promise.all([import("./engine/check.js"), this.#parts()]);
    const folder = programs === undefined ? {} : { programs };
    return checkEngines({
      settings,
      env,
      warn,
      openEngineHost,
      ...folder,
      ...(project === undefined ? {} : { project }),
    });
  }

  async open(request: OpenStackRequest): Promise<RuntimeStack> {
    const { env, warn, programs } = this.options;
    const settings = this.#settings(request.settings);
    request.signal.throwIfAborted();
    const engine = engineOf(settings, env, request.projectId);
    const [{ openStack }, parts] = await Promise.all([import("./stack/open-stack.js"), this.#parts()]);
    const { stack, capacity } = await openStack({
      request,
      engine,
      settings,
      env,
      warn,
      parts,
      ...(programs === undefined ? {} : { programs }),
      onClose: (closed) => this.#stacks.delete(closed),
    });
    this.#stacks.add(stack);
    this.#capacity = capacity ?? this.#capacity;
    return stack;
  }

  async removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void> {
    const { settings, env, warn, programs } = this.options;
    const [{ removeVolumes }, { openSession }] = await Promise.all([
      import("./stack/remove-volumes.js"),
      this.#parts(),
    ]);
    const fallbackImage = settings.gatewayImage;
    await removeVolumes({ projectId, stateDir, volumes, env, warn, openSession, fallbackImage, programs });
  }

  async removeProject(projectId: string, stateDir: string): Promise<void> {
    const { volumeNames } = await import("./stack/volumes.js");
    await this.removeVolumes(projectId, stateDir, await volumeNames(stateDir));
  }

  async copyVolumes(): Promise<Record<string, number>> {
    throw unsupported("dagger", "copy volumes");
  }

  async restoreVolumes(): Promise<void> {
    throw unsupported("dagger", "restore volumes");
  }

  /** Before an engine is used, the size of this machine is reported instead. */
  capacity(): { cpus: number; memory_mb: number } {
    return this.#capacity ?? { cpus: cpus().length, memory_mb: Math.floor(totalmem() / MB) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stacks].map((stack) => stack.close()));
  }
}

export const createDaggerRuntime = (options: DaggerRuntimeOptions): StackRuntime => new DaggerRuntime(options);
