/** The preparation of one service in a temporary project, with a host that records commands instead of running them. */
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AddressBook } from "../../../../src/runtimes/local/addresses/address-rewrite.js";
import { privateDirs } from "../../../../src/runtimes/local/files/create.js";
import type { InstallContext } from "../../../../src/runtimes/local/install/install-context.js";
import type { PrepareContext } from "../../../../src/runtimes/local/providers/launch-plan.js";
import type { RunResult, RunSpec, TranslatedService } from "../../../../src/runtimes/local/types.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import type { Enforcement, RuntimeNotice } from "../../../../src/stack/runtime.js";
import { RecordingSink } from "../../contract/bench.js";
import { DirectHost } from "./direct-host.js";
import { definition, tempDir } from "./fixture.js";
import { installContext } from "./install-context.js";

export class RecordingHost extends DirectHost {
  readonly specs: RunSpec[] = [];
  /** Whether services have namespaces. */
  namespaces = false;
  /** The result of a command; what is absent is that of a command that succeeds without output. */
  answer: (spec: RunSpec) => Partial<RunResult> | undefined = () => undefined;

  /** @param root services can run what is below it, and no program of the machine */
  constructor(private readonly root: string) {
    super();
  }

  override run = async (spec: RunSpec): Promise<RunResult> => {
    this.specs.push(spec);
    this.ran.push(spec.argv);
    return { exitCode: 0, signal: null, timedOut: false, oomKilled: false, output: "", ...this.answer(spec) };
  };

  override async spawn(): Promise<never> {
    throw new Error("a preparation starts no process");
  }

  override sandboxEnforcement = (): Enforcement => ({
    level: this.namespaces ? "enforced" : "none",
    reason: "test double",
  });

  override async accessible(path: string): Promise<boolean> {
    return path.startsWith(`${this.root}/`);
  }
}

interface Surroundings {
  /** Host ports by `service:port`. */
  ports?: Record<string, number>;
  /** The other services of the stack. */
  others?: ServiceDefinition[];
  secrets?: Record<string, string>;
  signal?: AbortSignal;
}

export class Preparation {
  readonly dir = tempDir();
  readonly folder = join(this.dir.path, "project");
  readonly serverState = join(this.dir.path, "state");
  readonly stateDir = join(this.serverState, "projects/test");
  /** The client's own programs. */
  readonly bin = join(this.dir.path, "client/bin");
  readonly host = new RecordingHost(realpathSync(this.dir.path));
  readonly notices: RuntimeNotice[] = [];
  readonly phases: string[] = [];
  readonly sink = new RecordingSink();

  constructor() {
    mkdirSync(this.folder, { mode: 0o755 });
    mkdirSync(this.bin, { recursive: true, mode: 0o755 });
    mkdirSync(this.stateDir, { recursive: true, mode: 0o711 });
  }

  file(path: string, text: string): string {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
    writeFileSync(full, text);
    return full;
  }

  /** A program of the client, which is only recorded when it is run. */
  program(name: string): string {
    const path = join(this.bin, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, "#!/bin/sh\n", { mode: 0o755 });
    return path;
  }

  book({ ports = {}, others = [] }: Surroundings, service: string): AddressBook {
    const of = (name: string) =>
      Object.keys(ports).flatMap((one) => (one.startsWith(`${name}:`) ? [Number(one.split(":")[1])] : []));
    return {
      services: () => [service, ...others.map(({ name }) => name)],
      hostPort: (name, port) => ports[`${name}:${port}`],
      ports: of,
    };
  }

  async context(one: TranslatedService, around: Surroundings = {}): Promise<PrepareContext> {
    const user = await this.host.userFor("test", one.name);
    return {
      ...(await privateDirs(this.stateDir, one.name, user)),
      stack: {
        projectId: "test",
        folder: this.folder,
        definition: definition([one, ...(around.others ?? [])], around.secrets),
        stateDir: this.stateDir,
        notice: (notice) => this.notices.push(notice),
      },
      serverStateDir: this.serverState,
      request: {
        service: one,
        generation: 1,
        limits: {},
        sink: this.sink,
        signal: around.signal ?? new AbortController().signal,
        phase: (message) => this.phases.push(message),
      },
      user,
      host: this.host,
      book: this.book(around, one.name),
      machine: null,
      client: { PATH: this.bin, HOME: join(this.dir.path, "client") },
      retry: { maxRetries: 0, baseDelayMs: 1 },
    };
  }

  installing(service = "web"): Promise<InstallContext> {
    return installContext(this, { service });
  }

  close(): void {
    this.dir.remove();
  }
}
