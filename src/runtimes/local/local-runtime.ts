/** Runs services as processes of this machine. Creating it is cheap; the process layer is loaded at its first use. */
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import type {
  Availability,
  CheckPortsRequest,
  CheckServicesRequest,
  CopyVolumesRequest,
  Endpoint,
  OpenStackRequest,
  RuntimeStack,
  RuntimeStatus,
  ServiceCheck,
  StackRuntime,
  VolumesRequest,
} from "../../stack/runtime.js";
import type { LocalStack } from "./local-stack.js";
import { SERVICE_FOLDERS } from "./service-folders.js";
import type { ProcessHost } from "./types.js";

export interface LocalRuntimeOptions {
  /** The server's state directory. */
  stateDir: string;
  /** The process layer, or a function that creates it at its first use. */
  processHost: ProcessHost | (() => Promise<ProcessHost>);
  /** Retries of operations that fail because of the network. Default: 3 attempts, the first retry after 1,000 ms. */
  retry?: { maxRetries: number; baseDelayMs: number };
  /** Says where the programs of a client without settings are. Default: in the system's directories only. */
  clientEnvironment?: Record<string, string>;
  /** Receives warnings for the operator. */
  warn(message: string): void;
}

const DEFAULT_RETRY = { maxRetries: 3, baseDelayMs: 1000 };

class LocalRuntime implements StackRuntime {
  readonly name = "local";
  readonly #stacks = new Set<LocalStack>();
  #host: Promise<ProcessHost> | undefined;

  constructor(private readonly options: LocalRuntimeOptions) {}

  #processHost(): Promise<ProcessHost> {
    const { processHost } = this.options;
    this.#host ??= typeof processHost === "function" ? processHost() : Promise.resolve(processHost);
    return this.#host;
  }

  async check(): Promise<RuntimeStatus> {
    const [{ checkRequirements }, host] = await Promise.all([
      import("./toolchain/requirements-check.js"),
      this.#processHost(),
    ]);
    return checkRequirements(host);
  }

  /** A start needs no versions of Python and Redis, and tries a network when it opens its own. */
  async availability(): Promise<Availability> {
    // A start needs the host and the stack's module next: the module loads while the host detects what the machine has.
    const [{ isAvailable }] = await Promise.all([
      import("./toolchain/requirements-check.js"),
      this.#processHost(),
      import("./local-stack.js"),
    ]);
    return isAvailable() ? { available: true, findings: [] } : this.check();
  }

  async checkServices({ definition, folder, settings }: CheckServicesRequest): Promise<ServiceCheck[]> {
    const [{ checkServices }, host] = await Promise.all([import("./check-services.js"), this.#processHost()]);
    const { stateDir, clientEnvironment = {} } = this.options;
    const client = settings?.clientEnvironment ?? clientEnvironment;
    return checkServices({ definition, folder, stateDir, host, client });
  }

  async checkPorts({ definition }: CheckPortsRequest): Promise<Endpoint[]> {
    const [{ checkPorts }, { portRequests }] = await Promise.all([
      import("../shared/check-ports.js"),
      import("./ports/port-requests.js"),
    ]);
    return checkPorts(definition, (service) => portRequests(service).filter(({ published }) => published));
  }

  async open(request: OpenStackRequest): Promise<RuntimeStack> {
    const [{ LocalStack }, { ensureDir }] = await Promise.all([
      import("./local-stack.js"),
      import("./files/create.js"),
    ]);
    await ensureDir(this.options.stateDir, 0o711);
    const host = await this.#processHost();
    const { stateDir, retry = DEFAULT_RETRY, clientEnvironment = {} } = this.options;
    const server = { stateDir, host, retry, clientEnvironment };
    const stack = await LocalStack.open(request, server, (one) => this.#stacks.delete(one));
    this.#stacks.add(stack);
    return stack;
  }

  async removeVolumes(_projectId: string, stateDir: string, volumes: string[]): Promise<void> {
    const [{ volumePath }, { removeTree }] = await Promise.all([
      import("./providers/provider-data.js"),
      import("./files/remove-tree.js"),
    ]);
    // Validate all names before deleting anything.
    const paths = volumes.map((name) => volumePath(stateDir, name));
    for (const path of paths) await removeTree(path, stateDir);
    // Data of services without a named volume is deleted too, as `docker compose down -v` does.
    await removeTree(join(stateDir, "anonymous"), stateDir);
  }

  async removeProject(_projectId: string, stateDir: string): Promise<readonly string[]> {
    const [{ removeTree }, { removeMountPoints }] = await Promise.all([
      import("./files/remove-tree.js"),
      import("./files/mount-point.js"),
    ]);
    for (const name of SERVICE_FOLDERS) await removeTree(join(stateDir, name), stateDir);
    await removeMountPoints(stateDir);
    return [];
  }

  async copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>> {
    const { copyVolumes } = await import("./files/copy-volumes.js");
    return copyVolumes(request, archiveDir);
  }

  async restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void> {
    const { restoreVolumes } = await import("./files/copy-volumes.js");
    await restoreVolumes(request, archiveDir);
  }

  capacity(): { cpus: number; memory_mb: number } {
    const { processHost } = this.options;
    if (typeof processHost !== "function") return processHost.capacity();
    return { cpus: cpus().length, memory_mb: Math.floor(totalmem() / 1024 ** 2) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stacks].map((stack) => stack.close()));
    const host = await this.#host?.catch(() => undefined);
    await host?.close();
  }
}

export function createLocalRuntime(options: LocalRuntimeOptions): StackRuntime {
  return new LocalRuntime(options);
}
