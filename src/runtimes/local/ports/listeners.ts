/** Lists the listeners of ports: from the kernel's tables on Linux, by a connection attempt on other platforms. */
import { connect } from "node:net";
import { socketCount, socketTables } from "../../../system/socket-tables.js";

export interface Listener {
  port: number;
  /** Owner of the socket; null when it was only detected by a connection. */
  uid: number | null;
  loopback: boolean;
  /** Whether it receives connections to 127.0.0.1. */
  answersLoopback: boolean;
}

const LISTEN = "0A";
const ESTABLISHED = "01";
const TO_LOOPBACK = /^(?:0000000000000000FFFF0000)?0100007F$/;
const LOOPBACK_V6 = "00000000000000000000000001000000";

const isLoopback = (address: string): boolean =>
  address === LOOPBACK_V6 ||
  (address.endsWith("7F") && (address.length === 8 || address.startsWith("0000000000000000FFFF0000")));

/** 127.0.0.1 and the any-address, also as IPv6 sockets that accept IPv4. */
const ANSWERS_LOOPBACK = /^(?:0100007F|0{8}|0{32}|0000000000000000FFFF0000(?:0100007F|0{8}))$/;

/** Lines of /proc/net/tcp and tcp6. */
export function parseListeners(table: string): Listener[] {
  const listeners: Listener[] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local, , state, , , , uid] = line.trim().split(/\s+/);
    if (state !== LISTEN || local === undefined) continue;
    const [address = "", port = ""] = local.split(":");
    listeners.push({
      port: Number.parseInt(port, 16),
      uid: Number(uid),
      loopback: isLoopback(address),
      answersLoopback: ANSWERS_LOOPBACK.test(address),
    });
  }
  return listeners;
}

/** All listening sockets of this network namespace, or null on platforms without a table of them. */
export async function listeners(procNet = "/proc/net"): Promise<Listener[] | null> {
  return socketTables(procNet, "listening")?.flatMap(({ text }) => parseListeners(text)) ?? null;
}

/** A connection to a port of 127.0.0.1, and the user that opened it. */
export interface Connection {
  uid: number;
  port: number;
}

/** Established connections of this network namespace to 127.0.0.1, as their openers see them. */
export function loopbackConnections(procNet = "/proc/net"): Connection[] {
  return (socketTables(procNet, "all") ?? []).flatMap(({ text }) =>
    text
      .split("\n")
      .slice(1)
      .flatMap((line): Connection[] => {
        const [, , remote = "", state, , , , uid] = line.trim().split(/\s+/);
        const [address = "", port = ""] = remote.split(":");
        return state === ESTABLISHED && TO_LOOPBACK.test(address)
          ? [{ uid: Number(uid), port: Number.parseInt(port, 16) }]
          : [];
      }),
  );
}

/** How long equal counts stand for equal tables: one socket may have been closed and another one opened. */
const RECENT_MS = 1000;
/**
 * As `listeners`, for callers that poll: reads the tables only when the number of sockets
 * changed, or the kernel does not count them.
 * @param procNet folder with the kernel's tables of one network namespace
 */
export function recentListenersOf(procNet: () => string): () => Promise<Listener[] | null> {
  let recent: { counts: string; until: number; sockets: Listener[] } | undefined;
  return async () => {
    const folder = procNet();
    const count = socketCount(folder, "");
    if (count === null) return listeners(folder);
    const counts = [folder, count, socketCount(folder, "6")].join(" ");
    if (recent?.counts === counts && performance.now() < recent.until) return recent.sockets;
    const sockets = await listeners(folder);
    recent = sockets === null ? undefined : { counts, until: performance.now() + RECENT_MS, sockets };
    return sockets;
  };
}

export const recentListeners = recentListenersOf(() => "/proc/net");

/** Whether a process accepts connections on this loopback port. */
export function accepts(port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: timeoutMs });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => done(true));
    socket.once("timeout", () => done(false));
    socket.once("error", () => done(false));
  });
}

export async function listenersOn(
  port: number,
  look: () => Promise<Listener[] | null> = listeners,
): Promise<Listener[]> {
  const all = await look();
  if (all !== null) return all.filter((listener) => listener.port === port);
  return (await accepts(port)) ? [{ port, uid: null, loopback: true, answersLoopback: true }] : [];
}
