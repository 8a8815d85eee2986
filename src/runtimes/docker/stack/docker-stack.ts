/** One running stack on a container engine: its network, its ports, its containers. */

import { rm } from "node:fs/promises";
import { relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import type {
  Endpoint,
  ExecResult,
  OneOffRequest,
  OpenStackRequest,
  PrepareServiceRequest,
  RuntimeNotice,
  RuntimeService,
  RuntimeStack,
  StartServiceRequest,
} from "../../../stack/runtime.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { raceAbort, withinOrNull } from "../../../system/wait.js";
import { checkPorts } from "../../shared/check-ports.js";
import { installationOf } from "../../shared/installation.js";
import type { Holding } from "../../shared/port-holder.js";
import { PortLedger, portsInUse } from "../../shared/port-ledger.js";
import { privateFiles } from "../../shared/private-files.js";
import { checkedPort } from "../../shared/probes/network-check.js";
import { serviceAliases } from "../container/compose-settings.js";
import { replaceable } from "../container/pinned-binds.js";
import { type PrepareOptions, prepareContainer } from "../container/prepare.js";
import { secretsFolder } from "../container/secret-files.js";
import type { PortBinding } from "../container/spec.js";
import type { Dependencies } from "../dependencies/ensure.js";
import type { Engine } from "../engine/engine.js";
import { isPortTaken } from "../engine/errors.js";
import { builderOf, ensureImage } from "../image/ensure.js";
import type { Image } from "../image/image.js";
import { LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";
import { removeLabelled } from "../leftovers/remove.js";
import { launch } from "../service/launch.js";
import { runOneOff } from "../service/one-off.js";
import { unshared } from "../volumes/ensure.js";
import { removeNewVolumes } from "../volumes/remove.js";
import type { EngineWatch } from "./engine-watch.js";
import { networkNames, type StackNetwork, type StackNetworks } from "./network.js";
import { containerOn } from "./other-containers.js";
import { portRequests } from "./ports.js";

export interface StackParts {
  engine: Engine;
  ledger: PortLedger;
  networks: StackNetworks;
  watch: EngineWatch;
  /** Running containers by id, with their start time from the engine. */
  running: Map<string, string>;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  onClose(stack: DockerStack): Promise<void>;
}

/** Time limit for cleaning up on a lost engine. */
const CLEAN_UP_MS = 5000;

/** A rootless engine has no more rights to listen on a port than its user. */
const holdingOf = ({ docker, info }: Pick<Engine, "docker" | "info">): Holding => ({
  engineListens: !info.rootless,
  containerOn: (port, protocol) => containerOn(docker, port, protocol),
});

export const newLedger = (engine: Pick<Engine, "docker" | "info">, project: string): PortLedger =>
  new PortLedger(portRequests, { ...holdingOf(engine), project });

/** @throws PORT_IN_USE, UNSUPPORTED */
export const portsOf = (engine: Pick<Engine, "docker" | "info">, definition: StackDefinition): Promise<Endpoint[]> =>
  checkPorts(definition, portRequests, holdingOf(engine));

/** A start, or a command in an instance outside of the stack's definition. */
type InstanceRequest = PrepareServiceRequest & Pick<OneOffRequest, "definition">;

export class DockerStack implements RuntimeStack {
  readonly runtime = "docker";
  readonly lost: Promise<{ reason: string }>;
  readonly #services = new Map<string, RuntimeService>();
  readonly #starts = new KeyedMutex();
  readonly #identity: StackIdentity;
  /** Services of which an instance was started: restarts do not look for a newer image. */
  readonly #started = new Set<string>();
  #definition: StackDefinition;
  /** Folders that were created for binds of services that have not started yet. */
  readonly #pendingBinds = new Set<string>();
  #oneOffs = 0;
  readonly #builds = new KeyedMutex();
  readonly #lastBuilds = new Map<string, { begun: number; image: Image }>();
  #closing: Promise<void> | undefined;

  constructor(
    private readonly request: OpenStackRequest,
    private readonly parts: StackParts,
  ) {
    this.#definition = request.definition;
    this.#identity = { projectId: request.projectId, stateDir: request.stateDir };
    this.lost = parts.watch.lost;
  }

  endpoints(): Endpoint[] {
    return this.parts.ledger.endpoints();
  }

  /** A service that can write to the folder of a new bind needs a mount point there before that bind is mounted. */
  async update(definition: StackDefinition): Promise<Readonly<Record<string, string>>> {
    await this.parts.ledger.apply(definition);
    const former = this.#definition;
    this.#definition = definition;
    const replaced: Record<string, string> = {};
    for (const { name, mounts } of Object.values(definition.services)) {
      const before = new Set(replaceable(mounts, former).map(({ source }) => source));
      const added = replaceable(mounts, definition).find(({ source }) => !before.has(source));
      if (added !== undefined)
        replaced[name] =
          `${relative(this.request.folder, added.source)}, in a folder that it can write to, became a mount`;
    }
    return replaced;
  }

  /** Starts of one service run one at a time; each waits for the exit of the previous instance. */
  startService(request: StartServiceRequest): Promise<RuntimeService> {
    return this.#starts.run([request.service.name], () => this.#start(request));
  }

  async runOneOff(request: OneOffRequest): Promise<ExecResult> {
    this.#refuseWhenOver();
    const image = await this.#image(request);
    this.#oneOffs += 1;
    const kind = `run-${request.generation}-${this.#oneOffs}`;
    const definition = request.definition ?? this.#definition;
    const networks = await this.parts.networks.of(request.service, definition);
    const prepare = this.#prepare(request, image, kind, networks, []);
    const unnamed = networks.map(({ name }) => ({ name, aliases: [] }));
    return runOneOff({ ...prepare, networks: unnamed, request, watch: this.parts.watch });
  }

  async #start(request: StartServiceRequest): Promise<RuntimeService> {
    const { service, signal } = request;
    const { name } = service;
    const { ledger } = this.parts;
    this.#refuseWhenOver();
    signal.throwIfAborted();
    const former = this.#services.get(name);
    if (former !== undefined) await raceAbort(former.exited, signal);
    const image = (request.prepared as Image | undefined) ?? (await this.#image(request));
    const notes: string[] = [];
    try {
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        this.#refuseWhenOver();
        for (const { from, to } of await ledger.secure(name)) {
          const message = `Port ${from} was taken by another process; ${name} now uses ${to}.`;
          this.request.notice({ type: "port_reassigned", service: name, message });
          notes.push(message);
        }
        try {
          return await this.#launch(request, image, notes);
        } catch (error) {
          if (!isPortTaken(error)) throw error;
          if (attempt > 1) throw await this.#taken(name);
        }
      }
    } catch (error) {
      await ledger.rehold(name);
      throw error;
    }
  }

  readonly preparesInOrder = true;

  /** @returns the image */
  prepareService(request: PrepareServiceRequest): Promise<Image> {
    this.#refuseWhenOver();
    return this.#image(request);
  }

  async #launch(request: StartServiceRequest, image: Image, notes: readonly string[]): Promise<RuntimeService> {
    const { service, signal, generation } = request;
    const { engine, watch, ledger, running } = this.parts;
    const networks = await this.parts.networks.of(service, this.#definition);
    const ports = this.#ports(service, networks);
    const prepared = await prepareContainer(this.#prepare(request, image, String(generation), networks, ports));
    // The engine binds the ports while the container starts.
    await ledger.release(service.name);
    const isUnshared = unshared(this.#definition, service.name);
    const started = await launch({
      engine,
      request,
      prepared,
      image,
      networks,
      watch,
      notes: [...notes, ...this.#notes(service)],
      unshared: isUnshared,
      started: ({ id, startedAt }) => running.set(id, startedAt),
      untilEnded: async (id) => {
        running.delete(id);
        if (this.#closing === undefined) await ledger.rehold(service.name);
      },
    });
    this.#services.set(service.name, started);
    this.#started.add(service.name);
    void started.exited.then(() => {
      if (this.#services.get(service.name) === started) this.#services.delete(service.name);
    });
    if (this.#closing !== undefined) {
      await started.stop({ graceMs: 0 });
      this.#refuseWhenOver();
    }
    if (signal.aborted) {
      await started.stop({ graceMs: 0 });
      await removeNewVolumes(engine.docker, prepared.newVolumes.filter(isUnshared)).catch(() => undefined);
    }
    signal.throwIfAborted();
    return started;
  }

  #prepare(
    request: InstanceRequest,
    image: Image,
    kind: string,
    networks: readonly StackNetwork[],
    ports: readonly PortBinding[],
  ): PrepareOptions {
    const { engine, ledger, env } = this.parts;
    const { service, generation, limits, definition = this.#definition } = request;
    return {
      engine,
      identity: this.#identity,
      definition,
      folder: this.request.folder,
      pending: this.#pendingBinds,
      service,
      image,
      generation,
      limits,
      networks: networkNames(service).map((name, at) => ({
        name: networks[at]?.name ?? name,
        ...(networks[at]?.fixed === true ? { address: service.networks?.[name]?.ipv4Address } : {}),
        aliases: serviceAliases(service, definition, name),
      })),
      ports,
      kind,
      env,
      dependencies: (user) => this.#dependencies(request, image, user),
      hostPort: (other, port) => ledger.hostPort(other, port),
    };
  }

  async #dependencies(request: InstanceRequest, image: Image, user: string): Promise<Dependencies> {
    if (installationOf(request.service) === null) return { volumes: [], environment: {} };
    const { ensureDependencies } = await import("../dependencies/ensure.js");
    return ensureDependencies({
      ...this.#preparing(request),
      image,
      user,
    });
  }

  /** What pulls, builds and installations of a service have in common. */
  #preparing({ service, signal, phase, sink, definition = this.#definition }: InstanceRequest) {
    const { engine, env, retry } = this.parts;
    const { folder, stateDir, notice } = this.request;
    return {
      engine,
      identity: this.#identity,
      service,
      secrets: { ...definition.binarySecrets, ...definition.secrets },
      folder,
      renew: !this.#started.has(service.name),
      exclude: [stateDir, ...privateFiles(folder, definition)],
      env,
      retry,
      signal,
      phase,
      output: (line: string) => sink.line("install", line),
      notice: (type: RuntimeNotice["type"], message: string) => notice({ type, service: service.name, message }),
    };
  }

  /** Instances with one image that start at the same time share a build which began after all of them asked for it. */
  async #image(request: InstanceRequest): Promise<Image> {
    if (request.service.build === undefined) return ensureImage(this.#preparing(request));
    const builder = builderOf(request.service);
    const requestedAt = performance.now();
    return this.#builds.run([builder], async () => {
      const last = this.#lastBuilds.get(builder);
      if (last !== undefined && last.begun >= requestedAt) return last.image;
      const begun = performance.now();
      const image = await ensureImage(this.#preparing(request));
      this.#lastBuilds.set(builder, { begun, image });
      return image;
    });
  }

  /** Published ports, and the ports that checks connect to when they cannot reach the container. */
  #ports(service: ServiceDefinition, networks: readonly StackNetwork[]): PortBinding[] {
    const { ledger, engine } = this.parts;
    if (networks.length === 0) return [];
    const published = ledger
      .endpoints()
      .filter((endpoint) => endpoint.service === service.name)
      .map(
        ({ container_port, host_port, protocol }): PortBinding => ({
          containerPort: container_port,
          protocol: protocol ?? "tcp",
          hostPort: host_port,
        }),
      );
    const test = service.healthcheck?.test;
    const checked = test === undefined ? null : checkedPort(service, test);
    if (networks.some(({ direct }) => direct) || !engine.socket || checked === null) return published;
    if (published.some(({ containerPort, protocol }) => containerPort === checked && protocol === "tcp"))
      return published;
    return [...published, { containerPort: checked, protocol: "tcp", hostPort: 0 }];
  }

  #notes(service: ServiceDefinition): string[] {
    const { engine, ledger } = this.parts;
    if (engine.socket) return [];
    const { host } = engine.address;
    const ports = ledger.endpoints().filter((endpoint) => endpoint.service === service.name);
    const forwards = ports.map(({ host_port: port }) => `-L ${port}:127.0.0.1:${port}`).join(" ");
    const reach = host.startsWith("ssh://")
      ? ` \`ssh -N ${forwards} ${host}\` makes them available here.`
      : " They can be reached there only.";
    const listens = ports.length === 0 ? "." : `: published ports listen on 127.0.0.1 there.${reach}`;
    return [`It runs on another machine (${host})${listens}`];
  }

  async #taken(service: string): Promise<StackwardenError> {
    const { docker } = this.parts.engine;
    const ports = this.parts.ledger.endpoints().filter((endpoint) => endpoint.service === service);
    const busy = ports.map(async ({ host_port: port, container_port, protocol }) => {
      const owner = await containerOn(docker, port, protocol ?? "tcp");
      return { service, port, container_port, ...(owner === null ? {} : { owner }) };
    });
    return portsInUse(await Promise.all(busy));
  }

  #refuseWhenOver(): void {
    this.parts.watch.over.signal.throwIfAborted();
    if (this.#closing !== undefined)
      throw new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.", {
        hint: "Start it again with start_stack.",
      });
  }

  /** Kills running containers and removes containers, networks and secrets. Volumes and images stay. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      const { engine, watch, ledger, env, onClose } = this.parts;
      const left = [...this.#services.values()];
      if (!watch.over.signal.aborted)
        await Promise.all(left.map((one) => one.stop({ graceMs: 0 }).catch(() => undefined)));
      await Promise.all(left.map((one) => one.exited));
      const labels = { ...stackLabels(this.#identity), [LABEL.server]: serverId() };
      const clean = removeLabelled(engine.docker, labels).catch(() => undefined);
      await withinOrNull(clean, CLEAN_UP_MS);
      watch.close();
      const secrets = await secretsFolder({ ...this.#identity, sameMachine: engine.sameMachine, env });
      await rm(secrets, { recursive: true, force: true }).catch(() => undefined);
      await ledger.close();
      await onClose(this);
    })();
    return this.#closing;
  }
}
