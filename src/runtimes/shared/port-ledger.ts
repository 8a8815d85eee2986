/**
 * The host ports of one stack. The server holds a port with a listening socket from its selection until just before its
 * service is spawned, so that no other process takes it in between.
 */
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { ServiceDefinition, StackDefinition } from "../../stack/definition/types.js";
import type { Endpoint } from "../../stack/runtime.js";
import { Mutex } from "../../system/mutex.js";
import type { PortClaim } from "./port-claim.js";
import {
  boundPort,
  close,
  type Held,
  type Holder,
  type Holding,
  hold,
  holdAny,
  holdClaimed,
  isLeftToEngine,
  type Protocol,
} from "./port-holder.js";
import { describeOwner, type NamedOwner, ownerOf } from "./port-owner.js";

export interface PortRequest {
  service: string;
  /** Container port; 0 for the service's own `{port}` when it names no container port. */
  containerPort: number;
  /** Default: TCP. */
  protocol?: Protocol;
  /** Fixed host port: this one or PORT_IN_USE. */
  hostPort?: number;
  /** Last port of a range that begins with `hostPort`: one of them, or PORT_IN_USE. */
  hostPortEnd?: number;
  /** Port that is tried first when no host port is fixed. Default: the container port if published, else any. */
  preferredPort?: number;
  published: boolean;
}

interface Slot extends PortRequest {
  port: number;
  holder: Holder | null;
  /** Kept while the slot has the port, including the time that its service listens. */
  claim: PortClaim;
}

export interface Reassigned {
  service: string;
  from: number;
  to: number;
}

/** Returns the ports that a service needs on this machine, published ones first. */
export type RequestsOf = (service: ServiceDefinition) => PortRequest[];

/** A check of another server holds a port for a moment, so that it looks busy: it is tried again, this many times. */
const RETRIES = 2;
/** Milliseconds before each of these attempts. */
const RETRY_MS = 60;

/** Number of ports that are tried after the preferred one. */
const SEARCH = 500;

export interface BusyPort {
  service: string;
  port: number;
  /** Absent for TCP. */
  protocol?: "udp";
  container_port: number;
  /** The process or container that uses the port, when the system or the engine reports it. */
  owner?: NamedOwner;
}

/** @param busy ports with their owner, which was looked up before */
export function portsInUse(busy: BusyPort[], free: Record<string, number> = {}): StackwardenError {
  const list = busy.map(({ port, protocol, service, owner }) => {
    const by = owner === undefined ? "" : `, held by ${describeOwner(owner)}`;
    return `${port}${protocol === undefined ? "" : "/udp"} (${service}${by})`;
  });
  const others = [...new Set(busy.flatMap(({ owner }) => owner?.compose_project ?? []))];
  const stop = others.map((project) => `\`docker compose -p ${project} stop\``).join(" and ");
  const instead = stop === "" ? "" : `Stop what Docker Compose runs (${stop}; its data stays), or choose other ports. `;
  const stacks = [...new Set(busy.map(({ owner }) => owner?.project))];
  const [stack] = stacks;
  const end =
    stacks.length === 1 && stack !== undefined
      ? hint`stop that stack: ${callTo("stop_stack", { project: stack })}`
      : hint`stop what listens there`;
  return new StackwardenError("PORT_IN_USE", `Host port${busy.length > 1 ? "s" : ""} in use: ${list.join(", ")}.`, {
    hint: [
      { text: instead },
      ...(Object.keys(free).length > 0
        ? hint`Use free ports: ${callTo("start_stack", { ports: free })}, or ${callTo("start_stack", { ports: "auto" })}; or `
        : hint`Ask for other ports, or leave the host port unset to get the next free one; or `),
      ...end,
      { text: "." },
    ],
    details: { ports: busy, ...(Object.keys(free).length > 0 ? { free_ports: free } : {}) },
  });
}

/** The ledgers of this server's stacks: an error for a port that one of them holds names its service. */
const open = new Set<PortLedger>();

/** The stack of this server that has a port; null when none has it. */
export function stackWithPort(port: number): { project: string; service: string } | null {
  for (const ledger of open) {
    const owner = ledger.ownerOf(port);
    if (owner?.project !== undefined && owner.service !== undefined)
      return { project: owner.project, service: owner.service };
  }
  return null;
}

async function withOwner(busy: BusyPort, { containerOn }: Holding): Promise<BusyPort> {
  const container = (await containerOn?.(busy.port, busy.protocol ?? "tcp")) ?? null;
  if (container !== null) return { ...busy, owner: container };
  if (busy.protocol === "udp") return busy;
  for (const ledger of open) {
    const owner = ledger.ownerOf(busy.port);
    if (owner !== null) return { ...busy, owner };
  }
  const owner = await ownerOf(busy.port);
  // A socket of this server holds the port for one of its services; no other process has it.
  if (owner === null || owner.pid === null || owner.pid === process.pid) return busy;
  return { ...busy, owner: { pid: owner.pid, program: owner.program } };
}

/** A port of one protocol: TCP and UDP have separate ports. */
const keyOf = ({ protocol = "tcp" }: Pick<PortRequest, "protocol">, port: number): string => `${port}/${protocol}`;

const busyPort = ({ service, containerPort, protocol }: PortRequest, port: number): BusyPort => ({
  service,
  port,
  ...(protocol === "udp" ? { protocol } : {}),
  container_port: containerPort,
});

/** Holds the fixed port or one of its range, or the first free one at or after the preferred one. */
async function take(request: PortRequest, usedPorts: Set<string>, holding: Holding): Promise<Slot | "busy"> {
  const { protocol } = request;
  const slot = (held: Held, port: number): Slot => ({ ...request, ...held, port });
  if (request.hostPort !== undefined) {
    try {
      for (let port = request.hostPort; port <= (request.hostPortEnd ?? request.hostPort); port++) {
        if (usedPorts.has(keyOf(request, port))) continue;
        const held = await holdClaimed(port, holding, protocol);
        if (held !== null) return slot(held, port);
      }
      return "busy";
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new StackwardenError(
        "UNSUPPORTED",
        `Port ${request.hostPort} of "${request.service}" cannot be used (${code}).`,
        {
          hint: "Choose a host port from 1024 upwards.",
          cause: error,
        },
      );
    }
  }
  if (request.published || request.preferredPort !== undefined) {
    const first = request.preferredPort ?? request.containerPort;
    for (let port = first; port < first + SEARCH && port <= 65_535; port++) {
      if (usedPorts.has(keyOf(request, port))) continue;
      const held = await holdClaimed(port, holding, protocol).catch(() => null);
      if (held === null) continue;
      if (held.holder !== null) return slot(held, port);
      // A port that the definition does not set is one that the ledger holds.
      await held.claim.release();
    }
  }
  const any = await holdAny(holding, protocol);
  return slot(any, boundPort(any.holder));
}

/**
 * Serialises the search for ports among the ledgers of this server: a port that a check tries and releases is not in
 * use for a start.
 */
const search = new Mutex();

/** Releases a port. */
async function letGo({ holder, claim }: Slot): Promise<void> {
  if (holder !== null) await close(holder);
  await claim.release();
}

export class PortLedger {
  #slots: Slot[] = [];
  #closed = false;

  /**
   * @param holding address of the ports, and the handler of connections while they are held
   * @param probes release each port as soon as it was found free
   */
  constructor(
    private readonly requestsOf: RequestsOf,
    private readonly holding: Holding = {},
    private readonly probes = false,
  ) {}

  /**
   * Reserves the missing ports of a definition, and releases those that it no longer has. On failure nothing changes.
   * @throws PORT_IN_USE with every busy port and its service
   */
  async apply(definition: StackDefinition): Promise<void> {
    const requests = Object.values(definition.services).flatMap(this.requestsOf);
    const same = (slot: Slot, request: PortRequest) =>
      slot.service === request.service &&
      slot.containerPort === request.containerPort &&
      slot.published === request.published &&
      slot.protocol === request.protocol &&
      (request.hostPort === undefined
        ? slot.hostPort === undefined
        : slot.port >= request.hostPort && slot.port <= (request.hostPortEnd ?? request.hostPort));
    const unchanged: Slot[] = [];
    const unassigned: PortRequest[] = [];
    for (const request of requests) {
      const slot = this.#slots.find((one) => same(one, request));
      if (slot === undefined) unassigned.push(request);
      else unchanged.push(slot);
    }
    const dropped = this.#slots.filter((slot) => !unchanged.includes(slot));
    const fresh: Slot[] = [];
    let busy: PortRequest[] = [];
    open.add(this);
    const assign = async (request: PortRequest): Promise<boolean> => {
      const handed =
        request.hostPort === undefined
          ? undefined
          : dropped.find((slot) => slot.port === request.hostPort && slot.protocol === request.protocol);
      if (handed !== undefined) {
        // The same port moves from one entry of the stack to another, together with its socket.
        dropped.splice(dropped.indexOf(handed), 1);
        fresh.push({ ...request, port: handed.port, holder: handed.holder, claim: handed.claim });
        return true;
      }
      const waiting = busy.filter((one) => one !== request);
      const usedPorts = new Set([
        ...[...unchanged, ...fresh, ...dropped].map((slot) => keyOf(slot, slot.port)),
        ...waiting.map((one) => keyOf(one, one.hostPort as number)),
      ]);
      const slot = await this.#take(request, usedPorts, this.probes);
      if (slot !== "busy") fresh.push(slot);
      return slot !== "busy";
    };
    try {
      // Fixed ports come first, then ranges: a search for a free port must not take them.
      const rank = ({ hostPort, hostPortEnd }: PortRequest): number =>
        hostPort === undefined ? 2 : Number(hostPortEnd !== undefined);
      for (const request of [...unassigned].sort((one, other) => rank(one) - rank(other)))
        if (!(await assign(request))) busy.push(request);
      for (let attempt = 0; busy.length > 0 && attempt < RETRIES; attempt += 1) {
        await delay(RETRY_MS);
        for (const request of [...busy]) if (await assign(request)) busy = busy.filter((one) => one !== request);
      }
      const ports = busy.map((request) => busyPort(request, request.hostPort as number));
      if (ports.length > 0) throw portsInUse(await this.#withOwners(ports), await this.#freeFor(ports, fresh));
    } catch (error) {
      const before = new Set(this.#slots.map((slot) => slot.claim));
      await Promise.all(fresh.filter((slot) => !before.has(slot.claim)).map(letGo));
      throw error;
    }
    const order = (slot: Slot) => requests.findIndex((request) => same(slot, request));
    this.#slots = [...unchanged, ...fresh].sort((a, b) => order(a) - order(b));
    await Promise.all(dropped.map(letGo));
  }

  /** Suggests a free port for each busy one, for the `ports` of the next start. */
  async #freeFor(busy: readonly BusyPort[], fresh: readonly Slot[]): Promise<Record<string, number>> {
    const free: Record<string, number> = Object.create(null);
    const usedPorts = new Set([
      ...[...this.#slots, ...fresh].map((slot) => keyOf(slot, slot.port)),
      ...busy.map((one) => keyOf(one, one.port)),
    ]);
    for (const { service, port, protocol, container_port: containerPort } of busy) {
      const request = {
        service,
        containerPort,
        preferredPort: port + 1,
        published: true,
        ...(protocol === undefined ? {} : { protocol }),
      };
      const slot = await this.#take(request, usedPorts, true).catch(() => "busy" as const);
      if (slot === "busy") continue;
      usedPorts.add(keyOf(slot, slot.port));
      free[`${service}:${containerPort}`] = slot.port;
    }
    return { ...free };
  }

  /** @param release release the port at once */
  #take(request: PortRequest, usedPorts: Set<string>, release = false): Promise<Slot | "busy"> {
    return search.run(async () => {
      const slot = await take(request, usedPorts, this.holding);
      if (slot === "busy" || !release) return slot;
      await letGo(slot);
      return { ...slot, holder: null };
    });
  }

  #withOwners(busy: readonly BusyPort[]): Promise<BusyPort[]> {
    return Promise.all(busy.map((one) => withOwner(one, this.holding)));
  }

  #of(service: string): Slot[] {
    return this.#slots.filter((slot) => slot.service === service);
  }

  /**
   * Holds every port of the service. Replaces a port that a foreign process took meanwhile, unless it is fixed.
   * @throws PORT_IN_USE
   */
  async secure(service: string): Promise<Reassigned[]> {
    const busy: BusyPort[] = [];
    const moved: Reassigned[] = [];
    for (const slot of this.#of(service)) {
      if (slot.holder !== null) continue;
      let left = false;
      slot.holder = await hold(slot.port, this.holding, slot.protocol).catch((error: unknown) => {
        left = isLeftToEngine(error, this.holding);
        return null;
      });
      if (slot.holder !== null || left) continue;
      const from = slot.port;
      const fixed = slot.hostPort !== undefined && slot.hostPortEnd === undefined;
      const usedPorts = new Set(this.#slots.map((one) => keyOf(one, one.port)));
      const next = fixed ? "busy" : await this.#take(slot, usedPorts);
      if (next === "busy") {
        if (slot.hostPort !== undefined) busy.push(busyPort(slot, slot.port));
        continue;
      }
      await slot.claim.release();
      slot.holder = next.holder;
      slot.claim = next.claim;
      slot.port = next.port;
      moved.push({ service, from, to: slot.port });
    }
    if (busy.length > 0) throw portsInUse(await this.#withOwners(busy));
    return moved;
  }

  /** Releases the service's ports immediately before the spawn. */
  async release(service: string): Promise<void> {
    await Promise.all(
      this.#of(service).map(async (slot) => {
        const { holder } = slot;
        slot.holder = null;
        if (holder !== null) await close(holder);
      }),
    );
  }

  /** Holds the ports of an ended service again when they are free, so that a restart gets the same ones. */
  async rehold(service: string): Promise<void> {
    for (const slot of this.#of(service)) {
      if (this.#closed || slot.holder !== null) continue;
      const holder = await hold(slot.port, this.holding, slot.protocol).catch(() => null);
      if (holder === null) continue;
      if (this.#closed || slot.holder !== null) await close(holder);
      else slot.holder = holder;
    }
  }

  /** Whether the server holds every port of the service. */
  holds(service: string): boolean {
    return this.#of(service).every((slot) => slot.holder !== null);
  }

  /**
   * Ports of the service that could not be held again after its exit because another process took them, each with that
   * process when the system reports it.
   */
  async taken(service: string): Promise<BusyPort[]> {
    const missing = this.#of(service).filter((slot) => slot.holder === null);
    return this.#withOwners(missing.map((slot) => busyPort(slot, slot.port)));
  }

  /** The stack and service of a port; null when this ledger does not have it. */
  ownerOf(port: number): NonNullable<BusyPort["owner"]> | null {
    const { project } = this.holding;
    const slot =
      project === undefined ? undefined : this.#slots.find((one) => one.port === port && one.protocol !== "udp");
    if (slot === undefined || project === undefined) return null;
    return { pid: process.pid, program: null, project, service: slot.service };
  }

  /** Host port of a container port; `undefined` when the service has no such port. */
  hostPort(service: string, containerPort: number): number | undefined {
    const slots = this.#of(service).filter((slot) => slot.containerPort === containerPort);
    return (slots.find(({ protocol }) => protocol !== "udp") ?? slots[0])?.port;
  }

  /** Container ports of a service, published first. */
  ports(service: string): number[] {
    return this.#of(service).map((slot) => slot.containerPort);
  }

  services(): string[] {
    return [...new Set(this.#slots.map((slot) => slot.service))];
  }

  endpoints(): Endpoint[] {
    return this.#slots
      .filter((slot) => slot.published)
      .map((slot) => ({
        service: slot.service,
        container_port: slot.containerPort,
        host: this.holding.host ?? "127.0.0.1",
        host_port: slot.port,
        ...(slot.protocol === "udp" ? { protocol: slot.protocol } : {}),
      }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    open.delete(this);
    await Promise.all(this.services().map((service) => this.release(service)));
    await Promise.all(this.#slots.map((slot) => slot.claim.release()));
  }
}
