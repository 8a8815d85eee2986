/** Explains why an instance could not listen: which program has the port that its output names. */
import type { LineStream, LogSink } from "../../../stack/logs/types.js";
import { stackWithPort } from "../../shared/port-ledger.js";
import { describeOwner, owners, type PortOwner } from "../../shared/port-owner.js";
import { isServiceUid } from "../process/user-range.js";
import { instanceOfProcess, instanceOfUser } from "../running-instances.js";

/** Bytes of output that are kept: programs say that a port is in use shortly before they end. */
const KEPT = 8 * 1024;
const IN_USE = /EADDRINUSE|AddrInUse|address (?:is )?already in use|\bport\b.{0,60}\bin use\b|connection in use/i;
/** Dates and times of loggers. */
const TIME = /\d{1,4}([/:-])\d{1,2}\1\d{1,4}(?:[.,]\d+)?/g;
const NUMBER = /(?<![\d.])\d{2,5}(?![\d.])/g;

/** Passes output on, and keeps its end. */
export class OutputTail implements LogSink {
  #tail = "";

  constructor(private readonly sink: LogSink) {}

  get text(): string {
    return this.#tail;
  }

  write(stream: LineStream, chunk: Uint8Array, timeMs?: number): void {
    const end = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).subarray(-KEPT).toString("latin1");
    this.#tail = (this.#tail + end).slice(-KEPT);
    this.sink.write(stream, chunk, timeMs);
  }

  line(stream: LineStream, text: string): void {
    this.sink.line(stream, text);
  }

  behind(): Promise<void> | null {
    return this.sink.behind?.() ?? null;
  }

  end(): void {
    this.sink.end();
  }
}

/**
 * The ports that the output says are in use.
 * @param usual ports of the service, for a message that names none
 */
export function portsSaidInUse(output: string, usual: readonly number[]): number[] {
  const lines = output.split("\n");
  const places = lines.flatMap((line, at) => (IN_USE.test(line) ? [at] : []));
  if (places.length === 0) return [];
  const numbers = (at: number): number[] =>
    ((lines[at] ?? "").replace(TIME, "").match(NUMBER) ?? []).map(Number).filter((port) => port > 0 && port <= 65_535);
  const own = places.flatMap(numbers);
  const named = own.length > 0 ? own : places.flatMap((at) => numbers(at + 1));
  return [...new Set(named.length > 0 ? named : usual)];
}

export interface Conflicting {
  project: string;
  service: string;
  uid: number;
  output: OutputTail;
  /** Container ports of the service, and the ports on which it should listen. */
  ports: readonly { containerPort: number; hostPort: number }[];
  /** Folder with the tables of the network in which it listens. */
  netDir: string;
  /** False when only services of its stack listen there. */
  shared: boolean;
}

const isOwn = (socket: PortOwner, { project, service, uid }: Conflicting): boolean => {
  const instance = instanceOfUser(socket.uid) ?? (socket.pid === null ? null : instanceOfProcess(socket.pid));
  if (instance !== null) return instance.project === project && instance.service === service;
  return isServiceUid(uid) && socket.uid === uid;
};

function holderOf(socket: PortOwner, own: Conflicting): { words: string; isStack: boolean } {
  const instance =
    instanceOfUser(socket.uid) ??
    (socket.pid === null ? null : instanceOfProcess(socket.pid)) ??
    (socket.pid === process.pid ? stackWithPort(socket.port) : null);
  if (instance === null) return { words: describeOwner(socket), isStack: false };
  const { project, service } = instance;
  return project === own.project
    ? { words: `service ${service} of the same stack`, isStack: false }
    : { words: `service ${service} of the project ${project}`, isStack: true };
}

/**
 * @returns what was observed and what helps, as the rest of a sentence; null when the output names no port that another
 * program has
 */
export async function explainConflict(conflicting: Conflicting): Promise<string | null> {
  const { output, ports, netDir, shared } = conflicting;
  const inUse = portsSaidInUse(
    output.text,
    ports.map(({ containerPort }) => containerPort),
  );
  if (inUse.length === 0) return null;
  const sockets = await owners(({ port }) => inUse.includes(port), { netDir });
  const socket = sockets.find((one) => !isOwn(one, conflicting));
  if (socket === undefined) return null;
  const { words, isStack } = holderOf(socket, conflicting);
  const free = ports.find(({ containerPort }) => containerPort === socket.port) ?? ports[0];
  const take =
    free === undefined ? "give it another port" : `configure it to listen on the port in PORT (${free.hostPort})`;
  const where = shared ? "Stacks share this machine's ports" : "The services of a stack share its ports";
  return `port ${socket.port}, on which it tried to listen, belongs to ${words}. ${where}: ${take}, or stop ${isStack ? "that stack" : "what listens there"}`;
}
