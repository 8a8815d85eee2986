/** One running stack on this machine: its ports and the processes of its services. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { ServiceDefinition, StackDefinition } from "../../stack/definition/types.js";
import type { LogSink } from "../../stack/logs/types.js";
import type {
  Endpoint,
  ExecResult,
  OneOffRequest,
  OpenStackRequest,
  PrepareServiceRequest,
  RuntimeService,
  RuntimeStack,
  ServiceExit,
  StartServiceRequest,
} from "../../stack/runtime.js";
import { runPostStart } from "../shared/hooks.js";
import { type BusyPort, PortLedger, portsInUse } from "../shared/port-ledger.js";
import { type AddressBook, LOOPBACK } from "./addresses/address-rewrite.js";
import { aliasesOf, withAliases } from "./addresses/name-aliases.js";
import { ServiceAddresses } from "./addresses/service-addresses.js";
import type { CommandPlace } from "./commands/place.js";
import { runFresh } from "./commands/run.js";
import { refuseRoot, waitForEarlyExit } from "./early-exit.js";
import { recoverRestores } from "./files/copy-volumes.js";
import { ensureDir, namesIn, ownerOf, privateDirs } from "./files/create.js";
import { removeTree } from "./files/remove-tree.js";
import { type TranslatedDefinition, translate, translateService } from "./image/translate.js";
import { LocalService } from "./local-service.js";
import { type Loopback, MACHINE_LOOPBACK } from "./network/loopback.js";
import type { NetworkNamespace } from "./network/namespace.js";
import { NamespacePorts, type StackPorts } from "./network/stack-ports.js";
import { FixedPorts } from "./ports/fixed-ports.js";
import { ListenWatch } from "./ports/listen-watch.js";
import { explainConflict, OutputTail } from "./ports/port-conflict.js";
import { portRequests } from "./ports/port-requests.js";
import { type InstalledApp, installApp, prepareApp } from "./providers/app.js";
import type { LaunchPlan, LocalStartRequest, PrepareContext } from "./providers/launch-plan.js";
import { postgresCommandEnv, preparePostgres } from "./providers/postgres.js";
import { providerOf } from "./providers/provider-of.js";
import { prepareRedis, redisCommandEnv } from "./providers/redis.js";
import { remember } from "./running-instances.js";
import { hideSecretWords } from "./secret-words.js";
import { prepareServer } from "./servers/prepare-server.js";
import { serviceUser } from "./service-user.js";
import { SERVICE_PATH } from "./toolchain/binaries.js";
import type { ManagedProcess, ProcessHost, ServiceUser } from "./types.js";

/** How long a start waits for the service's port, to detect a port that another process has taken. */
const FIRST_MOMENTS_MS = 1500;

/** What all stacks of a server share. */
export interface LocalServer {
  /** The server's state directory. */
  stateDir: string;
  host: ProcessHost;
  retry: { maxRetries: number; baseDelayMs: number };
  clientEnvironment: Record<string, string>;
}

/** Notes for settings that have no effect outside a container. */
const withoutContainer = (service: ServiceDefinition): string[] =>
  [...(service.readOnly ? ["read_only"] : []), ...(service.init ? ["init"] : [])].map(
    (key) => `${key} has no effect on the local runtime.`,
  );

/** The user with the groups of the volumes that the service shares. */
const inGroups = (user: ServiceUser, { groups = [] }: Pick<LaunchPlan, "groups">): ServiceUser =>
  groups.length === 0 ? user : { ...user, groups };

const COMMAND_DIR = ".command-";

/** Removes private directories of one-off commands that a killed server left behind. */
async function removeCommandDirs(stateDir: string): Promise<void> {
  const run = join(stateDir, "run");
  const names = (await ownerOf(run)) === null ? [] : await namesIn(run);
  for (const name of names) if (name.startsWith(COMMAND_DIR)) await removeTree(join(stateDir, "run", name), stateDir);
}

interface Instance {
  process: ManagedProcess;
  plan: LaunchPlan;
  /** Settles when the instance has ended and its remains are removed. */
  ended: Promise<void>;
}

export class LocalStack implements RuntimeStack {
  readonly runtime = "local";
  /** Settles only with the stack's network: processes are not lost together, because each reports its own exit. */
  readonly lost: Promise<{ reason: string }>;
  readonly #ledger: StackPorts;
  readonly #loopback: Loopback;
  readonly #addresses: ServiceAddresses;
  readonly #instances = new Map<string, Instance>();
  /** Processes of one-off commands. */
  readonly #commands = new Set<ManagedProcess>();
  #definition: TranslatedDefinition;
  private readonly host: ProcessHost;
  #closed = false;

  private constructor(
    private readonly open_: OpenStackRequest,
    private readonly server: LocalServer,
    definition: TranslatedDefinition,
    private readonly network: NetworkNamespace | null,
    private readonly onClose: (stack: LocalStack) => void,
  ) {
    this.host = server.host;
    this.#definition = definition;
    const project = open_.projectId;
    this.#loopback = network ?? MACHINE_LOOPBACK;
    const warn = (service: string, message: string): void => open_.notice({ type: "warning", service, message });
    this.#ledger =
      network === null ? new PortLedger(portRequests, { project }) : new NamespacePorts(project, network, warn);
    this.#addresses = new ServiceAddresses(
      open_.stateDir,
      (service, port) => this.#ledger.hostPort(service, port),
      this.#loopback,
    );
    this.lost = network === null ? new Promise(() => {}) : network.lost.then((reason) => ({ reason }));
  }

  /** @throws PORT_IN_USE, UNSUPPORTED, STORAGE_FAILED, INVALID_STACK */
  static async open(
    request: OpenStackRequest,
    server: LocalServer,
    onClose: (stack: LocalStack) => void = () => {},
  ): Promise<LocalStack> {
    request.signal.throwIfAborted();
    const definition = await translate(request.definition, request.folder);
    await ensureDir(request.stateDir, 0o711);
    await removeCommandDirs(request.stateDir);
    await recoverRestores(request.stateDir);
    const network = (await server.host.openNetwork?.()) ?? null;
    const stack = new LocalStack(request, server, definition, network, onClose);
    try {
      await stack.#ledger.apply(definition);
      await stack.#provideAddresses();
    } catch (error) {
      await stack.close();
      throw error;
    }
    if (request.signal.aborted) {
      await stack.close();
      request.signal.throwIfAborted();
    }
    return stack;
  }

  endpoints(): Endpoint[] {
    return this.#ledger.endpoints();
  }

  async update(definition: StackDefinition): Promise<Readonly<Record<string, string>>> {
    const translated = await translate(definition, this.open_.folder);
    await this.#ledger.apply(translated);
    this.#definition = translated;
    await this.#provideAddresses();
    return {};
  }

  /**
   * For databases and brokers that stackwarden runs and whose host port is not their container port. Other services may
   * listen on every address, which an address with the same port would prevent.
   */
  #provideAddresses(): Promise<void> {
    const moved = Object.values(this.#definition.services).flatMap((service) =>
      providerOf(service) === null && (service.server ?? "nginx") === "nginx"
        ? []
        : this.#ledger
            .ports(service.name)
            .filter((containerPort) => this.#ledger.hostPort(service.name, containerPort) !== containerPort)
            .map((containerPort) => ({ service: service.name, containerPort })),
    );
    return this.#addresses.provide(moved);
  }

  get #book(): AddressBook {
    const ledger = this.#ledger;
    return {
      isSeparate: this.network !== null,
      services: () => ledger.services(),
      hostPort: (service, port) => ledger.hostPort(service, port),
      publishedPort: (service, port) => ledger.publishedPort?.(service, port),
      ports: (service) => ledger.ports(service),
      address: (service, port) => this.#addresses.of(service, port),
    };
  }

  /** Installs an app. The start completes its preparation, when the ports are known. */
  async prepareService(given: PrepareServiceRequest): Promise<InstalledApp | undefined> {
    const request = await this.#translated(given);
    const { service } = request;
    if (this.#closed || service.server !== undefined || providerOf(service) !== null) return undefined;
    const user = await serviceUser(this.host, this.open_, service);
    return installApp(await this.#context(request, user, service.name));
  }

  async startService(given: StartServiceRequest): Promise<RuntimeService> {
    const request = await this.#translated(given);
    const { service, signal } = request;
    const name = service.name;
    if (this.#closed) throw new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.");
    await this.#instances.get(name)?.ended;
    const user = await serviceUser(this.host, this.open_, service);
    const notes = withoutContainer(service);
    try {
      for (let attempt = 1; ; attempt++) {
        signal.throwIfAborted();
        for (const { from, to } of await this.#ledger.secure(name)) {
          const message = `Port ${from} was taken by another process; ${name} now uses ${to}.`;
          this.open_.notice({ type: "port_reassigned", service: name, message });
          notes.push(message);
        }
        await this.#provideAddresses();
        const plan = await this.#prepare(request, user, given.prepared as InstalledApp | undefined);
        const started = await this.#launch(request, user, plan, notes, attempt);
        if (started !== null) return started;
      }
    } catch (error) {
      await this.#ledger.rehold(name);
      throw error;
    }
  }

  /** A command beside a running instance uses the same files; without an instance they are prepared as for a start. */
  async runOneOff(given: OneOffRequest): Promise<ExecResult> {
    const request = { ...given, ...(await this.#translated(given)) };
    const { service, generation, limits, exec, signal } = request;
    const name = service.name;
    if (this.#closed) throw new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.");
    const user = await serviceUser(this.host, this.open_, service);
    const plan = this.#instances.get(name)?.plan;
    const { services } = this.#definition;
    const definition =
      given.definition === undefined
        ? this.#definition
        : { ...given.definition, services: { ...services, [name]: service } };
    const fresh = plan === undefined ? `${COMMAND_DIR}${randomBytes(6).toString("hex")}` : null;
    let process: ManagedProcess | undefined;
    try {
      const prepared = plan ?? (await this.#prepareCommand(request, user, fresh ?? name, definition));
      return await runFresh({ service, user: inGroups(user, prepared), plan: prepared }, this.host, {
        projectId: this.open_.projectId,
        generation,
        limits,
        visible: [this.open_.folder, this.open_.stateDir],
        ...this.#inNetwork,
        exec,
        signal,
        running: (started) => {
          process = started;
          this.#commands.add(started);
          if (this.#closed) void started.stop({ graceMs: 0 });
        },
      });
    } finally {
      if (process !== undefined) this.#commands.delete(process);
      const { stateDir } = this.open_;
      if (fresh !== null) await removeTree(join(stateDir, "run", fresh), stateDir).catch(() => undefined);
    }
  }

  /** The Dockerfile is read at every start: it may have changed. */
  async #translated(request: PrepareServiceRequest): Promise<LocalStartRequest> {
    return { ...request, service: await translateService(request.service, this.open_.folder) };
  }

  get #inNetwork(): { network?: NetworkNamespace } {
    return this.network === null ? {} : { network: this.network };
  }

  async #prepareCommand(
    request: LocalStartRequest,
    user: ServiceUser,
    place: string,
    definition: TranslatedDefinition,
  ): Promise<CommandPlace["plan"]> {
    const context = await this.#context(request, user, place, definition);
    const provider = providerOf(request.service);
    if (request.service.server !== undefined)
      return {
        cwd: context.home,
        env: {
          LANG: "C.UTF-8",
          HOME: context.home,
          TMPDIR: context.tmp,
          PATH: ["/usr/sbin", ...SERVICE_PATH].join(":"),
        },
        commandEnv: { ...request.service.environment },
        resolve: async (argv) => argv,
      };
    if (provider === null) return prepareApp(context);
    // A command does not touch the data of a database: it may be in use, or not be created yet.
    const commandEnv = provider === "postgres" ? postgresCommandEnv(context) : redisCommandEnv(context);
    const env = { LANG: "C.UTF-8", HOME: context.home, TMPDIR: context.tmp };
    return { cwd: context.home, env, commandEnv, resolve: async (argv) => argv };
  }

  /**
   * @param place name of the private directories
   * @param definition the one that has the service
   */
  async #context(
    request: LocalStartRequest,
    user: ServiceUser,
    place: string,
    definition = this.#definition,
  ): Promise<PrepareContext> {
    const { projectId, folder, stateDir, notice } = this.open_;
    return {
      stack: { projectId, folder, stateDir, notice, definition },
      serverStateDir: this.server.stateDir,
      client: this.open_.settings?.clientEnvironment ?? this.server.clientEnvironment,
      request,
      user,
      host: this.host,
      book: withAliases(this.#book, aliasesOf(definition, request.service)),
      retry: this.open_.settings?.retry ?? this.server.retry,
      machine: this.network === null ? LOOPBACK : this.network.gateway(),
      ...(await privateDirs(stateDir, place, user)),
    };
  }

  async #prepare(
    request: LocalStartRequest,
    user: ServiceUser,
    installed: InstalledApp | undefined,
  ): Promise<LaunchPlan> {
    const context = await this.#context(request, user, request.service.name);
    const { server } = request.service;
    if (server !== undefined) return prepareServer(server, context);
    const provider = providerOf(request.service);
    if (provider === "postgres") return preparePostgres(context);
    return provider === "redis" ? prepareRedis(context) : prepareApp(context, installed);
  }

  /** @returns null when another process took a port that is not fixed: the next attempt uses another port */
  async #launch(
    request: LocalStartRequest,
    owner: ServiceUser,
    plan: LaunchPlan,
    notes: string[],
    attempt: number,
  ): Promise<RuntimeService | null> {
    const { service, generation, sink, signal } = request;
    const { name } = service;
    const project = this.open_.projectId;
    const user = inGroups(owner, plan);
    request.phase("starting process");
    signal.throwIfAborted();
    await this.#ledger.release(name);
    const secrets = this.#definition.secretValues;
    const hidden = hideSecretWords(plan, secrets);
    const allNotes = [...plan.notes, ...notes];
    const fixed = await FixedPorts.watch({
      uid: user.uid,
      loopback: this.#loopback,
      ports: providerOf(service) !== null || service.server !== undefined ? [] : this.#movedPorts(service),
      onForward: (containerPort, hostPort) =>
        void allNotes.push(`It listens on ${containerPort}, its container port; ${hostPort} forwards to it.`),
    });
    const output = new OutputTail(sink);
    const process = await this.#spawn(request, user, { ...plan, ...hidden }, output);
    const forget = remember({ project, service: name, pid: process.pid, uid: user.uid });
    const conflict = (): Promise<string | null> => this.#conflict(name, user, output);
    const exited = process.exited.then(async (exit) => {
      forget();
      const reason = (exit.exitCode ?? 0) === 0 ? null : await conflict().catch(() => null);
      return reason === null ? exit : { ...exit, reason };
    });
    const ended = this.#follow(name, process, plan, fixed);
    this.#instances.set(name, { process, plan, ended });
    if (hidden.exposed)
      allNotes.push(
        "Its command contains a secret, which other users of this machine can read: give it in environment.",
      );
    const openPort = this.#openPortWarning(name, allNotes);
    try {
      await refuseRoot(process, name);
      const ports = this.#hostPorts(service);
      const waitMs = ports.length > 0 ? FIRST_MOMENTS_MS : 0;
      const early = await waitForEarlyExit(process, ports, user, signal, waitMs, this.#loopback, openPort);
      if (early.kind === "exited") {
        // The ports are held again by now, unless another process has taken one.
        await ended;
        const taken = await this.#ledger.taken(name);
        if (taken.length > 0) return this.#portTaken(request, taken, early.exit, attempt);
      }
      const probing = {
        service: name,
        provider: providerOf(service),
        host: this.host,
        process,
        user,
        cwd: plan.cwd,
        env: plan.env,
        book: this.#ledger,
        dial: this.#loopback.dial,
        conflict,
        secrets,
        access: plan.access,
        resolve: plan.resolve,
      };
      const listening = new ListenWatch({
        uid: user.uid,
        loopback: this.#loopback,
        ports: () => this.#hostPorts(service).filter((port) => !fixed.forwards(port)),
        project,
        onOpen: openPort,
        onNeighbour: (port, other) =>
          this.#warn(
            name,
            `${name} connects to 127.0.0.1:${port}, which is service ${other.service} of the project ${other.project} and not of this stack. Let it connect to the name of the service, or to the address that its environment gives.`,
            allNotes,
          ),
      });
      const running = new LocalService(
        service,
        generation,
        allNotes,
        user,
        process,
        exited,
        plan,
        probing,
        listening,
        ended,
        sink,
      );
      await runPostStart(running.hooks, signal);
      return running;
    } catch (error) {
      await process.stop({ graceMs: 0 });
      await ended;
      throw error;
    }
  }

  #spawn(
    { service, generation, limits }: LocalStartRequest,
    user: ServiceUser,
    plan: LaunchPlan,
    sink: LogSink,
  ): Promise<ManagedProcess> {
    return this.host.spawn({
      projectId: this.open_.projectId,
      service: service.name,
      generation,
      argv: plan.argv,
      cwd: plan.cwd,
      env: plan.env,
      user,
      limits,
      sink,
      visible: [this.open_.folder, this.open_.stateDir],
      ...this.#inNetwork,
      mounts: plan.mounts ?? [],
      files: plan.files ?? {},
      programs: plan.programs ?? plan.argv.slice(0, 1),
    });
  }

  /** Says which other process has a port of the service, when its output names one; otherwise null. */
  #conflict(name: string, user: ServiceUser, output: OutputTail): Promise<string | null> {
    return explainConflict({
      project: this.open_.projectId,
      service: name,
      uid: user.uid,
      output,
      ports: this.#ports(name),
      netDir: this.network?.tables ?? "/proc/net",
      shared: this.#loopback.shared,
    });
  }

  #warn(service: string, message: string, notes: string[]): void {
    this.open_.notice({ type: "warning", service, message });
    notes.push(message);
  }

  /** Warns once of each port on which the service listens on every address. */
  #openPortWarning(name: string, notes: string[]): (port: number) => void {
    const warned = new Set<number>();
    return (port) => {
      if (warned.has(port)) return;
      warned.add(port);
      this.#warn(
        name,
        `${name} listens on port ${port} of every address, not only on 127.0.0.1: others on the network can reach it.`,
        notes,
      );
    };
  }

  #ports(name: string): { containerPort: number; hostPort: number }[] {
    return this.#ledger.ports(name).flatMap((containerPort) => {
      const hostPort = this.#ledger.hostPort(name, containerPort);
      return hostPort === undefined ? [] : [{ containerPort, hostPort }];
    });
  }

  #movedPorts({ name }: ServiceDefinition): { containerPort: number; hostPort: number }[] {
    return this.#ports(name).filter(({ containerPort, hostPort }) => hostPort !== containerPort && containerPort !== 0);
  }

  #hostPorts({ name }: ServiceDefinition): number[] {
    return this.#ports(name).map(({ hostPort }) => hostPort);
  }

  /**
   * Handles an instance that ended while another process had its port.
   * @returns null when another port may be used: the next attempt finds one
   * @throws PORT_IN_USE with the owner of the port, and with the exit of the instance
   */
  #portTaken({ service }: StartServiceRequest, taken: BusyPort[], exit: ServiceExit, attempt: number): null {
    const fixed = new Set(service.ports.map(({ hostPort }) => hostPort));
    if (attempt === 1 && !taken.some(({ port }) => fixed.has(port))) return null;
    const error = portsInUse(taken);
    const how = exit.signal === null ? `exited with code ${exit.exitCode}` : `was ended by ${exit.signal}`;
    throw new StackwardenError("PORT_IN_USE", `${service.name} ${how}. ${error.message}`, {
      hint: hint`${error.hint} Its own last lines are in ${callTo("get_logs", { service: service.name })}.`,
      details: { ...error.details, service: service.name, exit: { exit_code: exit.exitCode, signal: exit.signal } },
    });
  }

  /** Runs after the main process has ended: ends the rest of its group, then holds its ports for the next instance. */
  async #follow(service: string, process: ManagedProcess, plan: LaunchPlan, fixed: FixedPorts): Promise<void> {
    await process.exited;
    await fixed.end();
    await process.stop({ graceMs: 0 }).catch(() => {});
    await plan.cleanUp?.().catch(() => {});
    if (this.#instances.get(service)?.process === process) this.#instances.delete(service);
    if (!this.#closed) await this.#ledger.rehold(service);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#commands].map((process) => process.stop({ graceMs: 0 }).catch(() => undefined)));
    await Promise.all(
      [...this.#instances.values()].map(async ({ process, ended }) => {
        await process.stop({ graceMs: 0 }).catch(() => {});
        await ended;
      }),
    );
    await this.#addresses.close();
    await this.#ledger.close();
    await this.network?.close();
    this.onClose(this);
  }
}
