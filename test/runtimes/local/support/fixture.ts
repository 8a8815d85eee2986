/** A project and a state directory in a temporary directory; `close` ends their processes and removes them. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLocalRuntime } from "../../../../src/runtimes/local/local-runtime.js";
import type { ProcessHost } from "../../../../src/runtimes/local/types.js";
import type { Healthcheck, ServiceDefinition, StackDefinition } from "../../../../src/stack/definition/types.js";
import type {
  OpenStackRequest,
  RuntimeNotice,
  RuntimeService,
  RuntimeStack,
  StartServiceRequest,
} from "../../../../src/stack/runtime.js";
import { serviceDefinition } from "../../../support/service.js";
import { RecordingSink } from "../../contract/bench.js";
import { DirectHost } from "./direct-host.js";

export const PASSWORD = 's3cret-"quote\\back%space ä';

export function service(name: string, fields: Partial<ServiceDefinition> = {}): ServiceDefinition {
  return serviceDefinition({ name, ...fields });
}

export function definition(services: ServiceDefinition[], secrets: Record<string, string> = {}): StackDefinition {
  return {
    name: "test",
    source: "test",
    services: Object.fromEntries(services.map((one) => [one.name, one])),
    volumes: [],
    secretValues: [],
    secrets,
    notes: [],
  };
}

export function tempDir(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "stackwarden-local-"));
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export class Fixture {
  readonly dir = tempDir();
  readonly folder = join(this.dir.path, "project");
  readonly serverState = join(this.dir.path, "state");
  readonly stateDir = join(this.serverState, "projects", "test");
  readonly notices: RuntimeNotice[] = [];
  readonly phases: string[] = [];
  readonly runtime;
  readonly stacks: RuntimeStack[] = [];
  readonly sinks = new Map<string, RecordingSink>();
  #generation = 0;

  constructor(readonly host: ProcessHost & { spawned?: DirectHost["spawned"]; ran?: string[][] } = new DirectHost()) {
    mkdirSync(this.folder, { mode: 0o755 });
    mkdirSync(this.stateDir, { recursive: true, mode: 0o711 });
    this.runtime = createLocalRuntime({ stateDir: this.serverState, processHost: host, warn: () => {} });
  }

  file(path: string, text: string, mode = 0o644): string {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
    writeFileSync(full, text, { mode });
    return full;
  }

  request(stack: StackDefinition, fields: Partial<OpenStackRequest> = {}): OpenStackRequest {
    return {
      projectId: "test",
      folder: this.folder,
      definition: stack,
      stateDir: this.stateDir,
      signal: new AbortController().signal,
      notice: (notice) => this.notices.push(notice),
      ...fields,
    };
  }

  async open(services: ServiceDefinition[], secrets: Record<string, string> = {}): Promise<RuntimeStack> {
    const stack = await this.runtime.open(this.request(definition(services, secrets)));
    this.stacks.push(stack);
    return stack;
  }

  async start(stack: RuntimeStack, one: ServiceDefinition, signal?: AbortSignal): Promise<RuntimeService> {
    return stack.startService(this.startRequest(one, signal));
  }

  async prepare(stack: RuntimeStack, one: ServiceDefinition): Promise<unknown> {
    return stack.prepareService?.(this.startRequest(one));
  }

  startRequest(one: ServiceDefinition, signal = new AbortController().signal): StartServiceRequest {
    const sink = new RecordingSink();
    this.sinks.set(one.name, sink);
    this.#generation += 1;
    return {
      service: one,
      generation: this.#generation,
      limits: {},
      sink,
      signal,
      phase: (message) => this.phases.push(message),
    };
  }

  log(name: string): string {
    return this.sinks.get(name)?.all ?? "";
  }

  async close(): Promise<void> {
    await this.runtime.close();
    this.dir.remove();
  }
}

/** Probes until the service is healthy. @returns the last result, which is unhealthy after the deadline */
export async function untilHealthy(running: RuntimeService, check: Healthcheck, deadlineMs = 20_000) {
  const until = Date.now() + deadlineMs;
  for (;;) {
    const result = await running.probe(check, new AbortController().signal);
    if (result.healthy || Date.now() > until) return result;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
