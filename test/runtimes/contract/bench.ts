/** The fixture of the contract suite for a runtime under test, and the small programs that it runs as services. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Healthcheck, Limits, ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";
import type { LineStream, LogSink } from "../../../src/stack/logs/types.js";
import type {
  RuntimeNotice,
  RuntimeService,
  RuntimeStack,
  ServiceExit,
  StackRuntime,
  StartServiceRequest,
} from "../../../src/stack/runtime.js";

export const IMAGES = { python: "python:3.11-slim", redis: "redis:7-alpine" };

/** A runtime under test. */
export interface ContractTarget {
  runtime: StackRuntime;
  images: { python: string; redis: string };
  /** Ends the engine or session of a stack; absent for a runtime that has none. */
  kill?(stack: RuntimeStack): Promise<void>;
  /** The address on which published ports listen. Default 127.0.0.1. */
  host?: "0.0.0.0";
  /** False: processes of services are not in this machine's /proc. */
  processesVisible?: false;
  /** False: processes of a command that clear their environment and leave its session run until the service ends. */
  endsBareProcesses?: false;
  /** Services without ports have no network: an engine needs half as long to create one as to start a container. */
  withoutNetwork?: true;
  /** False: commands cannot have a terminal. Default true. */
  terminals?: false;
  close?(): Promise<void>;
}

export class RecordingSink implements LogSink {
  readonly stdout: Buffer[] = [];
  readonly stderr: Buffer[] = [];
  /** Output of the installer or of the image's build. */
  readonly install: Buffer[] = [];
  ends = 0;
  writesAfterEnd = 0;
  /** Each chunk with its time in epoch milliseconds. */
  readonly seen: { stream: LineStream; text: string; at: number }[] = [];

  write(stream: LineStream, chunk: Uint8Array): void {
    if (this.ends > 0) this.writesAfterEnd += 1;
    this[stream].push(Buffer.from(chunk));
    this.seen.push({ stream, text: Buffer.from(chunk).toString(), at: Date.now() });
  }

  line(stream: LineStream, text: string): void {
    this.write(stream, Buffer.from(`${text}\n`));
  }

  end(): void {
    this.ends += 1;
  }

  text(stream: LineStream = "stdout"): string {
    return Buffer.concat(this[stream]).toString();
  }

  get all(): string {
    return this.text("stdout") + this.text("stderr");
  }

  async shows(text: string, deadlineMs = 20_000, stream?: LineStream): Promise<void> {
    const seen = (): string => (stream === undefined ? this.all : this.text(stream));
    await until(`"${text}" in the log, which is: ${seen().slice(-500)}`, () => seen().includes(text), deadlineMs);
  }
}

export const healthcheck = (test: Healthcheck["test"], timeoutMs = 20_000): Healthcheck => ({
  test,
  intervalMs: 1000,
  timeoutMs,
  retries: 3,
  startPeriodMs: 0,
  startIntervalMs: 100,
});

export async function until(what: string, holds: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  for (const end = Date.now() + deadlineMs; !(await holds()); await sleep(25))
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
}

export const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resolve(server));
  });

export const closeServer = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/**
 * @returns the first of `inRow` consecutive free ports, outside of the range that systems give to outgoing connections,
 * so that no other program gets one by chance before it is used
 */
export async function freePort(inRow = 1): Promise<number> {
  for (;;) {
    const first = 15_000 + Math.floor(Math.random() * 15_000);
    const tried = await Promise.allSettled(Array.from({ length: inRow }, (_, at) => listen(first + at)));
    await Promise.all(tried.map((one) => (one.status === "fulfilled" ? closeServer(one.value) : undefined)));
    if (tried.every(({ status }) => status === "fulfilled")) return first;
  }
}

/** Running processes whose arguments contain the mark. */
export function processesWith(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return words.includes(mark) ? [`${pid} ${words.slice(0, 200)}`] : [];
      } catch {
        return [];
      }
    });
}

/** A container's init reports a signal as exit code 128 + signal. */
const SIGNALS: Record<string, number> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15, SIGSEGV: 11 };
export const endedBy = (exit: ServiceExit, signal: string): boolean =>
  exit.signal === signal || exit.exitCode === 128 + (SIGNALS[signal] ?? Number.NaN);

/** The container port of every HTTP program of the contract. */
export const WEB_PORT = 8123;
/** Another container port. */
export const OTHER_PORT = 8124;

// Python starts faster with few imports, and fastest with those that are built in.

/** An HTTP server on the ports in PORT, with the paths /hang and /sick. */
export const WEB = `
import _signal as signal, _thread, os, socket, time
def answer(connection):
    request = b""
    while b"\\r\\n\\r\\n" not in request:
        piece = connection.recv(65536)
        if not piece: return connection.close()
        request += piece
    path = request.split(b" ")[1]
    if path == b"/hang": time.sleep(60)
    body = os.environ.get("SAYS", "hello").encode()
    status = b"500 Sick" if path == b"/sick" else b"200 OK"
    connection.sendall(b"HTTP/1.0 %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
    connection.close()
def listener(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((os.environ["HOST"], int(port)))
    server.listen(16)
    return server
def serve(server):
    while True: _thread.start_new_thread(answer, (server.accept()[0],))
servers = [listener(port) for port in os.environ["PORT"].split()]
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("listening", flush=True)
for server in servers[1:]: _thread.start_new_thread(serve, (server,))
serve(servers[0])
`;

/** Prints "up", then waits for SIGTERM. */
export const WAITS = `
import _signal as signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("received SIGTERM", flush=True), sys.exit(0)))
print("up", flush=True)
while True: time.sleep(0.05)
`;

/** Exits with 42 on SIGINT and ignores SIGTERM. */
export const INTERRUPTED = `
import _signal as signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(42))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(0.05)
`;

import { serviceDefinition } from "../../support/service.js";

export interface StartOptions {
  limits?: Limits;
  signal?: AbortSignal;
  generation?: number;
}

/** One project of one runtime. */
export class Bench {
  readonly root = mkdtempSync(join(tmpdir(), "stackwarden-contract-"));
  readonly folder = join(this.root, "project");
  readonly stateDir = join(this.root, "state", "projects", "contract");
  /** Part of every program's text, by which its processes are found. */
  readonly mark = `contract-${process.pid}-${Math.random().toString(36).slice(2)}`;
  readonly projectId = `c${Math.random().toString(36).slice(2, 10)}`;
  readonly notices: RuntimeNotice[] = [];
  readonly phases: string[] = [];
  readonly sinks = new Map<string, RecordingSink>();
  readonly #stacks = new Set<RuntimeStack>();
  #generation = 0;

  constructor(readonly target: ContractTarget) {
    chmodSync(this.root, 0o755);
    mkdirSync(this.folder, { mode: 0o755 });
    mkdirSync(this.stateDir, { recursive: true, mode: 0o711 });
  }

  file(path: string, text: string): void {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
    writeFileSync(full, text, { mode: 0o644 });
  }

  /** A service that runs a Python program, written so that every runtime can run it. */
  python(name: string, program: string, fields: Partial<ServiceDefinition> = {}): ServiceDefinition {
    // Without its site packages, which can take longer to load than everything else.
    const command = ["python3", "-S", "-u", "-c", `# ${this.mark}\n${program}`];
    const { local, ...rest } = fields;
    const connects = "ports" in rest || "expose" in rest || "networks" in rest;
    return serviceDefinition({
      name,
      image: this.target.images.python,
      command,
      user: "1000",
      ...(this.target.withoutNetwork === true && !connects ? { networkMode: "none" } : {}),
      ...rest,
      local: { command, ...local, environment: { ...local?.environment } },
    });
  }

  web(name: string, fields: Partial<ServiceDefinition> = {}): ServiceDefinition {
    const { environment, ...rest } = fields;
    return this.python(name, WEB, {
      expose: [WEB_PORT],
      environment: { HOST: "0.0.0.0", PORT: String(WEB_PORT), ...environment },
      local: { environment: { HOST: "{host}", PORT: `{port:${WEB_PORT}}` } },
      ...rest,
    });
  }

  definition(
    services: ServiceDefinition[],
    fields: Partial<Pick<StackDefinition, "secrets" | "secretValues" | "volumes" | "configs" | "networks">> = {},
  ): StackDefinition {
    return {
      name: this.projectId,
      source: "contract",
      services: Object.assign(Object.create(null), Object.fromEntries(services.map((one) => [one.name, one]))),
      volumes: [],
      secretValues: [],
      secrets: {},
      notes: [],
      ...fields,
    };
  }

  async open(
    services: ServiceDefinition[],
    fields: Parameters<Bench["definition"]>[1] = {},
    signal = new AbortController().signal,
  ): Promise<RuntimeStack> {
    const stack = await this.target.runtime.open({
      projectId: this.projectId,
      folder: this.folder,
      definition: this.definition(services, fields),
      stateDir: this.stateDir,
      signal,
      notice: (notice) => this.notices.push(notice),
    });
    this.#stacks.add(stack);
    return stack;
  }

  /** The host ports that a start of these services would use. */
  async checkPorts(services: ServiceDefinition[]): Promise<(number | string)[]> {
    const endpoints = (await this.target.runtime.checkPorts?.({ definition: this.definition(services) })) ?? [];
    return endpoints.flatMap(({ service, host_port }) => [service, host_port]);
  }

  async start(stack: RuntimeStack, service: ServiceDefinition, options: StartOptions = {}): Promise<RuntimeService> {
    return stack.startService(this.request(service, options));
  }

  request(service: ServiceDefinition, options: StartOptions = {}): StartServiceRequest {
    const sink = new RecordingSink();
    this.sinks.set(service.name, sink);
    this.#generation += 1;
    return {
      service,
      generation: options.generation ?? this.#generation,
      limits: options.limits ?? {},
      sink,
      signal: options.signal ?? new AbortController().signal,
      phase: (message) => this.phases.push(message),
    };
  }

  /** Opens a stack of one service and starts it. */
  async run(
    service: ServiceDefinition,
    options: StartOptions = {},
  ): Promise<{ stack: RuntimeStack; running: RuntimeService; sink: RecordingSink }> {
    const stack = await this.open([service]);
    const running = await this.start(stack, service, options);
    return { stack, running, sink: this.sink(service.name) };
  }

  sink(name: string): RecordingSink {
    const sink = this.sinks.get(name);
    if (sink === undefined) throw new Error(`${name} was never started`);
    return sink;
  }

  probe(running: RuntimeService, test: Healthcheck["test"], timeoutMs?: number) {
    return running.probe(healthcheck(test, timeoutMs), new AbortController().signal);
  }

  async untilHealthy(running: RuntimeService, test: Healthcheck["test"]): Promise<void> {
    let last = "";
    await until(
      `${running.service} healthy`,
      async () => {
        const result = await this.probe(running, test);
        last = result.message;
        return result.healthy;
      },
      30_000,
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; last: ${last}; log: ${this.sink(running.service).all.slice(-500)}`);
    });
  }

  /** Running processes of the test's programs, one line each. */
  processes(): string[] {
    return processesWith(this.mark);
  }

  /** Waits until no process of the test's programs runs. */
  async nothingRuns(): Promise<void> {
    if (this.target.processesVisible === false) return;
    let left: string[] = [];
    await until("no process is left", () => {
      left = processesWith(this.mark);
      return left.length === 0;
    }).catch(() => {
      throw new Error(`left running:\n${left.join("\n")}`);
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stacks].map((stack) => stack.close()));
    try {
      await this.nothingRuns();
    } finally {
      rmSync(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    }
  }
}
