/** A runtime whose services follow a script and which records its calls. For tests of the domain. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StackwardenError } from "../../src/errors.js";
import type { Healthcheck, Limits, PortMapping, StackDefinition } from "../../src/stack/definition/types.js";
import type {
  AppliedLimits,
  CheckPortsRequest,
  CopyVolumesRequest,
  Endpoint,
  EnforcementLevel,
  ExecRequest,
  ExecResult,
  FileCopy,
  OneOffRequest,
  OpenStackRequest,
  PrepareServiceRequest,
  ProbeResult,
  RuntimeName,
  RuntimeService,
  RuntimeStack,
  RuntimeStatus,
  ServiceExit,
  ServiceStats,
  SkippedCopy,
  StackRuntime,
  StartServiceRequest,
  VolumesRequest,
  WebProtocol,
} from "../../src/stack/runtime.js";

type Probed = true | string | { starting: string };

export interface Script {
  /** Milliseconds until the process runs. */
  startMs?: number;
  /** Milliseconds that reading its limits takes. */
  readLimitsMs?: number;
  /** Errors of the next starts, one each. */
  startErrors?: unknown[];
  /** Prepares the next starts. Default: nothing to prepare. Must end when the signal is aborted. */
  prepare?: (request: PrepareServiceRequest) => Promise<unknown>;
  /** Result of its checks; an object for a service that answers that it is starting. Default: healthy. */
  probe?: (healthcheck: Healthcheck) => Probed | Promise<Probed>;
  /** What its checks are called in reports. */
  check?: string;
  /** The program of its check commands does not exist. */
  lacksProgram?: boolean;
  /** Ends of its next instances, one each. Default exit code 0. */
  ends?: (Partial<ServiceExit> & { afterMs: number })[];
  /** Command line of its instances. Default: unknown. */
  command?: string[];
  /** Output at the start. */
  prints?: string;
  /** Protocol of its ports. Default: not HTTP. */
  web?: WebProtocol;
  /** Named volumes that are empty at its starts. Default: unknown. */
  emptyVolumes?: string[];
  /** Volumes that its next starts create, one list each. */
  newVolumes?: string[][];
  /** Ignores the stop signal. */
  ignoresStop?: boolean;
  stats?: Partial<ServiceStats>;
  /** True for limits that the kernel refuses after it has applied `cpus`. */
  refusesLimits?: (limits: Limits) => boolean;
  /** Runs its commands. Default: exit code 0. Must end when the signal is aborted. */
  exec?: (request: ExecRequest) => Promise<Partial<ExecResult>>;
  /** Errors of the next pauses, one each. */
  pauseErrors?: unknown[];
}

export const serviceStats = (more: Partial<ServiceStats> = {}): ServiceStats => ({
  cpu_cores: 0.1,
  cpu_seconds_total: 1,
  memory_mb: 50,
  memory_peak_mb: 60,
  pids: 3,
  throttled_periods: 0,
  throttled_seconds: 0,
  oom_kills: 0,
  network_rx_bytes: null,
  network_tx_bytes: null,
  reason: null,
  ...more,
});

class FakeService implements RuntimeService {
  readonly startedAt = Date.now();
  readonly pid = Math.floor(Math.random() * 1e6) + 1e7;
  readonly user = { uid: 70_000, name: "70000", enforcement: { level: "enforced" as const, reason: "fake" } };
  readonly notes: string[] = [];
  readonly command: readonly string[];
  readonly emptyVolumes: Promise<readonly string[] | null>;
  readonly exited: Promise<ServiceExit>;
  end: (exit?: Partial<ServiceExit>) => void = () => undefined;
  limits: Limits;
  ended = false;
  readonly #newVolumes: string[];
  probing = 0;
  copyFiles?: (files: readonly FileCopy[]) => Promise<readonly SkippedCopy[]>;

  constructor(
    readonly service: string,
    readonly generation: number,
    readonly request: StartServiceRequest,
    private readonly runtime: FakeRuntime,
  ) {
    this.limits = request.limits;
    if (runtime.copiedFiles !== null)
      this.copyFiles = async (files) => {
        const error = runtime.copyErrors.shift();
        if (error !== undefined) throw error;
        const skipped = files.filter(({ target }) => runtime.privateTargets.includes(target));
        runtime.copiedFiles?.push(...files.filter((file) => !skipped.includes(file)));
        return skipped.map(({ target }) => ({ target, reason: "private" }));
      };
    this.command = runtime.script(service).command ?? [];
    this.#newVolumes = runtime.script(service).newVolumes?.shift() ?? [];
    this.emptyVolumes = Promise.resolve(runtime.script(service).emptyVolumes ?? null);
    this.exited = new Promise((resolve) => {
      this.end = (exit = {}) => {
        if (this.ended) return;
        this.ended = true;
        runtime.alive.delete(this);
        resolve({ exitCode: 0, signal: null, oomKilled: false, at: Date.now(), ...exit });
      };
    });
  }

  async stop({ graceMs, signal }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    if (!this.ended) this.runtime.calls.push(`stop ${this.service} ${signal ?? ""}`.trim());
    if (this.runtime.script(this.service).ignoresStop && graceMs > 0)
      await Promise.race([this.exited, new Promise((resolve) => setTimeout(resolve, graceMs))]);
    this.end({ exitCode: null, signal: "SIGTERM" });
    return this.exited;
  }

  async probe(healthcheck: Healthcheck, _signal: AbortSignal): Promise<ProbeResult> {
    const { lacksProgram, probe } = this.runtime.script(this.service);
    const { test, command = test } = healthcheck;
    if (lacksProgram === true && command.kind.startsWith("cmd"))
      return { healthy: false, message: "curl: not found", latencyMs: 1, check: "exec curl", programMissing: true };
    this.probing += 1;
    if (this.probing > 1 && test.kind !== "tcp") this.runtime.calls.push(`overlap ${this.service}`);
    try {
      const seen = (await probe?.(healthcheck)) ?? true;
      if (typeof seen === "object")
        return { healthy: false, message: seen.starting, latencyMs: 1, check: "fake", starting: true };
      const check =
        test.kind === "tcp" ? `tcp ${this.service}:${test.port}` : (this.runtime.script(this.service).check ?? "fake");
      return { healthy: seen === true, message: seen === true ? "well" : seen, latencyMs: 1, check };
    } finally {
      this.probing -= 1;
    }
  }

  async webProtocol(): Promise<WebProtocol | null> {
    return this.runtime.script(this.service).web ?? null;
  }

  async removeNewVolumes(): Promise<string[]> {
    const volumes = this.#newVolumes;
    if (volumes.length > 0) this.runtime.calls.push(`remove ${volumes.join(" ")}`);
    return volumes;
  }

  async setLimits(limits: Limits): Promise<AppliedLimits> {
    this.runtime.calls.push(`limits ${this.service} ${JSON.stringify(limits)}`);
    if (this.runtime.script(this.service).refusesLimits?.(limits) === true) {
      if (limits.cpus !== undefined) this.limits = { ...this.limits, cpus: limits.cpus };
      throw new StackwardenError("LIMIT_REFUSED", "The kernel refused the limits: EBUSY.");
    }
    this.limits = limits;
    return this.readLimits();
  }

  async readLimits(): Promise<AppliedLimits> {
    const { readLimitsMs } = this.runtime.script(this.service);
    if (readLimitsMs !== undefined) await new Promise((resolve) => setTimeout(resolve, readLimitsMs));
    const one = (value: number | undefined) => ({
      value: this.runtime.level === "enforced" ? (value ?? null) : null,
      enforcement: { level: this.runtime.level, reason: "fake kernel" },
    });
    return { cpus: one(this.limits.cpus), memory_mb: one(this.limits.memory_mb), pids: one(this.limits.pids) };
  }

  async stats(): Promise<ServiceStats> {
    return serviceStats(this.runtime.script(this.service).stats);
  }

  async exec(request: ExecRequest): Promise<ExecResult> {
    this.runtime.calls.push(`exec ${this.service} ${request.command.join(" ")}`);
    return execute(this.runtime.script(this.service), request);
  }

  async pause(): Promise<void> {
    const error = this.runtime.script(this.service).pauseErrors?.shift();
    if (error !== undefined) throw error;
    this.runtime.calls.push(`pause ${this.service}`);
  }

  async resume(): Promise<void> {
    this.runtime.calls.push(`resume ${this.service}`);
  }
}

const execute = async (script: Script, request: ExecRequest): Promise<ExecResult> => ({
  exitCode: 0,
  signal: null,
  oomKilled: false,
  ...(await script.exec?.(request)),
});

class FakeStack implements RuntimeStack {
  readonly runtime: RuntimeName;
  readonly lost: Promise<{ reason: string }>;
  lose: (reason: string) => void = () => undefined;
  definition: StackDefinition;
  closed = false;
  readonly #own = new Set<FakeService>();

  constructor(
    readonly request: OpenStackRequest,
    private readonly owner: FakeRuntime,
  ) {
    this.runtime = owner.name;
    this.definition = request.definition;
    this.lost = new Promise((resolve) => {
      this.lose = (reason) => {
        for (const service of this.#own) service.end({ exitCode: null, signal: "SIGKILL" });
        resolve({ reason });
      };
    });
  }

  endpoints(): Endpoint[] {
    return Object.values(this.definition.services).flatMap(({ name, ports }) =>
      ports.map((mapping) => ({
        service: name,
        container_port: mapping.containerPort,
        host: "127.0.0.1" as const,
        host_port: this.owner.hostPort(mapping),
      })),
    );
  }

  get preparesInOrder(): boolean {
    return this.owner.preparesInOrder;
  }

  async prepareService(request: PrepareServiceRequest): Promise<unknown> {
    return this.owner.script(request.service.name).prepare?.(request);
  }

  async startService(request: StartServiceRequest): Promise<RuntimeService> {
    const { service, signal, generation, sink, phase } = request;
    const script = this.owner.script(service.name);
    this.owner.calls.push(`start ${service.name}`);
    phase("starting process");
    this.request.notice({ type: "pulling", service: service.name, message: "Unpacking 12 MB." });
    phase("unpacking 12 MB");
    const error = script.startErrors?.shift();
    if (error !== undefined) throw error;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, script.startMs ?? 0);
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
    });
    const started = new FakeService(service.name, generation, request, this.owner);
    this.owner.alive.add(started);
    this.#own.add(started);
    this.owner.services.set(service.name, started);
    const end = script.ends?.shift();
    if (end !== undefined) setTimeout(() => started.end({ exitCode: end.exitCode ?? 0 }), end.afterMs);
    if (script.prints !== undefined) sink.write("stdout", Buffer.from(`${script.prints}\n`));
    return started;
  }

  async runOneOff({ exec, ...request }: OneOffRequest): Promise<ExecResult> {
    this.owner.calls.push(`one-off ${request.service.name} ${exec.command.join(" ")}`);
    return execute(this.owner.script(request.service.name), { ...exec, signal: request.signal });
  }

  async update(definition: StackDefinition): Promise<Record<string, string>> {
    if (this.owner.updateError !== null) throw this.owner.updateError;
    this.definition = definition;
    return this.owner.updateReplaces;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const service of this.#own) service.end({ exitCode: null, signal: "SIGKILL" });
  }
}

export class FakeRuntime implements StackRuntime {
  preparesInOrder = false;
  readonly calls: string[] = [];
  readonly alive = new Set<FakeService>();
  /** The newest instance of each service. */
  readonly services = new Map<string, FakeService>();
  readonly stacks: FakeStack[] = [];
  readonly removed: string[][] = [];
  /** Bytes of each volume that has data, `project/volume`. */
  readonly volumes = new Map<string, number>();
  /** Files that were copied into instances. Null if instances accept none. */
  copiedFiles: FileCopy[] | null = null;
  /** Targets that are not copied, because secrets are written in them. */
  privateTargets: string[] = [];
  /** What `removeProject` reports as not deleted. */
  keptData: string[] = [];
  /** Errors of the next copies of volumes or files, one each. */
  copyErrors: unknown[] = [];
  removeErrors: unknown[] = [];
  scripts: Record<string, Script> = {};
  level: EnforcementLevel = "enforced";
  available = true;
  openErrors: unknown[] = [];
  updateError: unknown = null;
  /** Host ports of other processes. */
  readonly busyPorts = new Set<number>();
  /** Result of `update`. */
  updateReplaces: Record<string, string> = {};
  closed = 0;

  constructor(readonly name: RuntimeName = "local") {}

  script(service: string): Script {
    return this.scripts[service] ?? {};
  }

  /** The newest instance. */
  service(name: string): FakeService {
    const found = this.services.get(name);
    if (found === undefined) throw new Error(`${name} was never started`);
    return found;
  }

  started(): string[] {
    return this.calls.filter((call) => call.startsWith("start ")).map((call) => call.slice(6));
  }

  async check(): Promise<RuntimeStatus> {
    const enforcement = { level: this.level, reason: "fake kernel" };
    return {
      runtime: this.name,
      available: this.available,
      findings: [{ check: "engine", ok: this.available, message: `${this.name} engine`, fix: "install it" }],
      isolation: { limits: enforcement, users: enforcement, network: enforcement, filesystem: enforcement },
    };
  }

  /** The fixed port, or the first free one from the preferred port. */
  hostPort({ containerPort, hostPort, preferredPort }: PortMapping): number {
    if (hostPort !== undefined) return hostPort;
    let port = preferredPort ?? containerPort;
    while (this.busyPorts.has(port)) port += 1;
    return port;
  }

  async checkPorts({ definition }: CheckPortsRequest): Promise<Endpoint[]> {
    return Object.values(definition.services).flatMap(({ name, ports }) =>
      ports.map((mapping) => {
        const port = this.hostPort(mapping);
        if (this.busyPorts.has(port))
          throw new StackwardenError("PORT_IN_USE", `Host port in use: ${port} (${name}, held by nginx (pid 4242)).`, {
            hint: `Use free ports: start_stack {"ports": {"${name}": ${port + 1}}}.`,
            details: { ports: [{ service: name, port, container_port: mapping.containerPort }] },
          });
        return { service: name, container_port: mapping.containerPort, host: "127.0.0.1" as const, host_port: port };
      }),
    );
  }

  async open(request: OpenStackRequest): Promise<RuntimeStack> {
    this.calls.push("open");
    const error = this.openErrors.shift();
    if (error !== undefined) throw error;
    const stack = new FakeStack(request, this);
    this.stacks.push(stack);
    return stack;
  }

  async removeVolumes(project: string, _stateDir: string, volumes: string[]): Promise<void> {
    this.removed.push(volumes);
    for (const volume of volumes) this.volumes.delete(`${project}/${volume}`);
  }

  async removeProject(project: string): Promise<readonly string[]> {
    const error = this.removeErrors.shift();
    if (error !== undefined) throw error;
    this.calls.push(`remove ${project}`);
    for (const volume of [...this.volumes.keys()]) if (volume.startsWith(`${project}/`)) this.volumes.delete(volume);
    return this.keptData;
  }

  async copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>> {
    this.calls.push(`copy ${request.volumes.join(",")}`);
    const error = this.copyErrors.shift();
    if (error !== undefined) throw error;
    const copied: Record<string, number> = {};
    const total = request.volumes.reduce((sum, one) => sum + (this.volumes.get(`${request.projectId}/${one}`) ?? 0), 0);
    if (total > request.maxBytes) throw new StackwardenError("SNAPSHOT_TOO_LARGE", "It is larger than allowed.");
    for (const volume of request.volumes) {
      const bytes = this.volumes.get(`${request.projectId}/${volume}`);
      if (bytes === undefined) continue;
      writeFileSync(join(archiveDir, volume), String(bytes));
      copied[volume] = bytes;
    }
    return copied;
  }

  async restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void> {
    this.calls.push(`restore ${request.volumes.join(",")}`);
    for (const volume of request.volumes) {
      const file = join(archiveDir, volume);
      if (existsSync(file)) this.volumes.set(`${request.projectId}/${volume}`, Number(readFileSync(file, "utf8")));
      else this.volumes.delete(`${request.projectId}/${volume}`);
    }
  }

  capacity(): { cpus: number; memory_mb: number } {
    return { cpus: 4, memory_mb: 8192 };
  }

  async close(): Promise<void> {
    this.closed += 1;
  }
}
