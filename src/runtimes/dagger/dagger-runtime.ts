/**
 * Runs services on Dagger engines. Creating it is cheap: the first stack loads the SDK and contacts the CLI and the
 * engine.
 */
import { cpus, totalmem } from "node:os";
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
import { SharedWork } from "../../system/shared-work.js";
import { holds, keptAfterRemoval } from "../shared/kept-content.js";
import { engineOf } from "./engine/engines.js";
import type { DaggerSettings } from "./settings.js";
import type { DaggerStack } from "./stack/dagger-stack.js";
import type { DaggerParts } from "./stack/open-stack.js";
import type { VolumeAccess } from "./volumes/access.js";
import type { UnreachedContent } from "./volumes/remove.js";

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

const MB = 1024 * 1024;

class DaggerRuntime implements StackRuntime {
  readonly name = "dagger";
  readonly #stacks = new Set<DaggerStack>();
  readonly #checks = new SharedWork();
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
      shared: this.#checks,
      ...folder,
      ...(project === undefined ? {} : { project }),
    });
  }

  async checkPorts({ definition, settings }: CheckPortsRequest): Promise<Endpoint[]> {
    const [{ checkPorts }, { publishedRequests }] = await Promise.all([
      import("../shared/check-ports.js"),
      import("./stack/published-ports.js"),
    ]);
    const { tunnel } = this.#settings(settings);
    return checkPorts(definition, publishedRequests, tunnel === true ? { host: "0.0.0.0" } : {});
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

  async #access(projectId: string, stateDir: string, client?: StackSettings): Promise<VolumeAccess> {
    const { env, programs } = this.options;
    const { openSession } = await this.#parts();
    return { projectId, stateDir, env, openSession, fallbackImage: this.#settings(client).gatewayImage, programs };
  }

  async removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void> {
    const { removeVolumes } = await import("./volumes/remove.js");
    this.#warnOf(projectId, await removeVolumes(await this.#access(projectId, stateDir), volumes));
  }

  #warnOf(projectId: string, left: readonly UnreachedContent[]): void {
    for (const content of left)
      this.options.warn(`${projectId}: no stack sees the deleted volumes any more, but ${holds(content)}`);
  }

  async removeProject(projectId: string, stateDir: string): Promise<string[]> {
    const [{ removeVolumes }, { volumeNames, recordRemovalFailed }] = await Promise.all([
      import("./volumes/remove.js"),
      import("./volumes/records.js"),
    ]);
    const left = await removeVolumes(await this.#access(projectId, stateDir), await volumeNames(stateDir));
    const kept = left.map(({ engine, reason, records }) => ({
      engine,
      reason,
      failedBefore: records.every(({ removalFailed }) => removalFailed === true),
    }));
    const sentences = await keptAfterRemoval(projectId, kept, () =>
      recordRemovalFailed(
        stateDir,
        left.flatMap(({ records }) => records),
      ),
    );
    this.#warnOf(projectId, left);
    return sentences;
  }

  async copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>> {
    const { projectId, stateDir, volumes, signal, settings } = request;
    const [access, { copyVolumes }, { endFormerUsers, hasFormerUsers }, { openEngineHost }] = await Promise.all([
      this.#access(projectId, stateDir, settings),
      import("./volumes/copy.js"),
      import("./volumes/users.js"),
      this.#parts(),
    ]);
    const { env, warn } = this.options;
    const { runnerHost } = engineOf(this.#settings(settings), env, projectId);
    const running = new Set([...this.#stacks].flatMap((stack) => [...stack.instances]));
    const users = { stateDir, volumes: [...volumes], runnerHost, running };
    if (await hasFormerUsers(users)) {
      const host = await openEngineHost({ runnerHost, warn, signal, env });
      await endFormerUsers({ ...users, openedAt: Date.now(), host, signal }).finally(() => host.close());
    }
    return copyVolumes(access, runnerHost, request, archiveDir);
  }

  async restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void> {
    const { projectId, stateDir, settings } = request;
    const [access, { restoreVolumes }] = await Promise.all([
      this.#access(projectId, stateDir, settings),
      import("./volumes/restore.js"),
    ]);
    const { runnerHost } = engineOf(this.#settings(settings), this.options.env, projectId);
    this.#warnOf(projectId, await restoreVolumes(access, runnerHost, request, archiveDir));
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
