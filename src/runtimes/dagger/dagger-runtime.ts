/** Runs services on Dagger engines. Creating it costs nothing: the SDK, the CLI and engines are touched by the first stack. */
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
  /** What a client's own settings say of engines. Default: the same as the server's. */
  settingsOf?(client: StackSettings): DaggerSettings;
  /** The server's environment: PATH, and the CLI's own variables. */
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  /** What it is made of; tests put others in their place. */
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
  /** Of the engine that was used last. */
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
    const { env, warn } = this.options;
    const settings = this.#settings(client);
    const [{ checkEngines }, { openEngineHost }] = await Promise.all([import("./engine/check.js"), this.#parts()]);
    return checkEngines({ settings, env, warn, openEngineHost, ...(project === undefined ? {} : { project }) });
  }

  async open(request: OpenStackRequest): Promise<RuntimeStack> {
    const { env, warn } = this.options;
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
      onClose: (closed) => this.#stacks.delete(closed),
    });
    this.#stacks.add(stack);
    this.#capacity = capacity ?? this.#capacity;
    return stack;
  }

  async removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void> {
    const { settings, env, warn } = this.options;
    const [{ removeVolumes }, { openSession }] = await Promise.all([
      import("./stack/remove-volumes.js"),
      this.#parts(),
    ]);
    await removeVolumes({ projectId, stateDir, volumes, env, warn, openSession, fallbackImage: settings.gatewayImage });
  }

  async copyVolumes(): Promise<Record<string, number>> {
    throw unsupported("dagger", "copy volumes");
  }

  async restoreVolumes(): Promise<void> {
    throw unsupported("dagger", "restore volumes");
  }

  /** Until an engine was used, this machine's size stands for it. */
  capacity(): { cpus: number; memory_mb: number } {
    return this.#capacity ?? { cpus: cpus().length, memory_mb: Math.floor(totalmem() / MB) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stacks].map((stack) => stack.close()));
  }
}

export const createDaggerRuntime = (options: DaggerRuntimeOptions): StackRuntime => new DaggerRuntime(options);
