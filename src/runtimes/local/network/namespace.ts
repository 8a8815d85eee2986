/**
 * A network namespace for the services of one stack. Services of different stacks then listen on the same ports without
 * a conflict, whatever address they choose. A process inside it (agent.ts) connects the server with its services; pasta
 * connects the services with the network of the machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { readKernelFile } from "../../../system/kernel-file.js";
import { raceAbort } from "../../../system/wait.js";
import type { Dial } from "../../shared/probes/dial.js";
import { type Listener, listeners, recentListenersOf } from "../ports/listeners.js";
import { ownProgram } from "../process/own-program.js";
import { networkOf } from "../process/sandbox.js";
import { INNER_FD, inUserNamespace, OUTER_FD, type UserNamespaces } from "../process/user-namespaces.js";
import type { AgentAnswer, AgentRequest } from "./agent.js";
import type { Forward } from "./forward.js";
import type { Loopback } from "./loopback.js";

export interface NetworkTools {
  unshare: string;
  nsenter: string;
  pasta: string;
  /** Where a server that is not root makes namespaces; null on a root server. */
  users: UserNamespaces | null;
}

export interface NetworkOptions {
  tools: NetworkTools;
  /** Reports a process that must not outlive the server, before it begins. */
  watch(pid: number): Promise<void>;
  unwatch(pid: number): Promise<void>;
}

const READY_MS = 15_000;
const STEP_MS = 5;
/** The address that pasta answers DNS queries at, where the machine's name server is on its loopback interface. */
export const NAME_SERVER = "169.254.1.1";
/** pasta is given to a shell first, which waits until the watchdog knows of it. */
const STAGE = 'IFS= read -r go || exit 125; exec "$@"';
/** Before the agent of a server that is not root: services may listen on every port, as in containers. */
const AGENT_STAGE = 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start && exec "$@"';

/** Words before a program that makes or changes a network namespace, and its descriptors from 4 on. */
const inOuter = ({ nsenter, users }: NetworkTools): string[] =>
  users === null ? [] : inUserNamespace(nsenter, OUTER_FD);
const userDescriptors = ({ users }: NetworkTools): ("ignore" | number)[] =>
  users === null ? [] : ["ignore", users.outer, users.inner];

/** The command that makes a namespace and runs the agent in it, without rights over it. */
function agentCommand(tools: NetworkTools): [program: string, ...args: string[]] {
  const { unshare, nsenter, users } = tools;
  const agent = [process.execPath, ownProgram("network-agent")];
  if (users === null) return [unshare, "--net", "--", ...agent];
  const inner = ["/bin/sh", "-c", AGENT_STAGE, "stackwarden", ...inUserNamespace(nsenter, INNER_FD)];
  const [program = nsenter, ...words] = inOuter(tools);
  return [program, ...words, unshare, "--net", "--", ...inner, ...agent];
}

/** Whether the machine's name server listens on its loopback interface, which the namespace does not have. */
export function hasLoopbackNameServer(resolvConf = "/etc/resolv.conf"): boolean {
  try {
    return /^\s*nameserver\s+(?:127\.|::1\b)/m.test(readFileSync(resolvConf, "utf8"));
  } catch {
    return false;
  }
}

const lastLineOf = (stream: Readable | null): (() => string) => {
  let text = "";
  stream?.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2000);
  });
  return () => text.trim().split("\n").at(-1) ?? "";
};

const exitOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });

/** Resolves when the process is in another network namespace than the server; never when it ends before. */
async function hasSeparateNetwork(child: ChildProcess): Promise<true> {
  const own = networkOf("self");
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    try {
      if (networkOf(child.pid) !== own) return true;
    } catch {
      // It has ended, which the caller observes.
    }
    await sleep(1);
  }
  return new Promise(() => undefined);
}

const HEX_ADDRESS = /^[0-9A-F]{8}$/;

/** The default gateway of a routing table of the kernel; null when there is none. */
export function gatewayOf(table: string): string | null {
  for (const line of table.split("\n").slice(1)) {
    const [, destination, gateway = "", flags = ""] = line.trim().split(/\s+/);
    if (destination !== "00000000" || !HEX_ADDRESS.test(gateway) || (Number.parseInt(flags, 16) & 2) === 0) continue;
    return (gateway.match(/../g) ?? [])
      .reverse()
      .map((byte) => Number.parseInt(byte, 16))
      .join(".");
  }
  return null;
}

interface Waiting {
  resolve(answer: AgentAnswer, socket?: Socket): void;
  reject(error: Error): void;
}

export class NetworkNamespace implements Loopback {
  readonly shared = false;
  /** Resolves with the reason when a process of the namespace ends before `close`. */
  readonly lost: Promise<string>;
  /** Resolves when its processes have ended after `close`. */
  readonly closed: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pid: number;
  #pasta: ChildProcess | null = null;
  #lose: (reason: string) => void = () => undefined;
  #isClosed: () => void = () => undefined;
  #closing: Promise<void> | null = null;
  #count = 0;

  private constructor(
    private readonly agent: ChildProcess,
    private readonly opening: NetworkOptions,
  ) {
    this.#pid = agent.pid as number;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.#isClosed = resolve;
    });
    agent.on("message", (answer: AgentAnswer, socket?: unknown) => this.#answer(answer, socket as Socket | undefined));
  }

  /** @throws Error that says why this machine cannot have such a namespace */
  static async open(options: NetworkOptions): Promise<NetworkNamespace> {
    const [program, ...args] = agentCommand(options.tools);
    const agent = spawn(program, args, {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "ipc", ...userDescriptors(options.tools)],
    });
    const lastLine = lastLineOf(agent.stderr);
    const ended = exitOf(agent);
    const ready = new Promise<true>((resolve) => agent.once("message", () => resolve(true)));
    const late = sleep(READY_MS, "no answer", { ref: false });
    const failed = (outcome: string): Error => {
      agent.kill("SIGKILL");
      return new Error(`unshare cannot make a network namespace: ${lastLine() || outcome}`);
    };
    const outcome = await Promise.race([hasSeparateNetwork(agent), ended, late]);
    if (outcome !== true) throw failed(outcome);
    const network = new NetworkNamespace(agent, options);
    void ended.then((how) => network.#end(`the process of its network ended (${how})`));
    try {
      // The program of the agent starts while pasta connects the namespace.
      const [outcome] = await Promise.all([Promise.race([ready, ended, late]), network.#connectOutside()]);
      if (outcome !== true) throw failed(outcome);
    } catch (error) {
      await network.close();
      throw error;
    }
    // An idle namespace does not keep a command line's server alive.
    agent.unref();
    agent.channel?.unref();
    return network;
  }

  /** Gives the namespace the machine's addresses and routes; pasta forwards its outgoing connections. */
  async #connectOutside(): Promise<void> {
    const { tools, watch } = this.opening;
    const namespace = openSync(`/proc/${this.#pid}/ns/net`, "r");
    const pasta = spawn(
      "/bin/sh",
      [
        "-c",
        STAGE,
        "stackwarden",
        ...inOuter(tools),
        tools.pasta,
        "--config-net",
        "--foreground",
        "--quiet",
        // Without this option pasta changes to a user that cannot enter the namespace. It still drops its capabilities.
        // In a user namespace this root is the server's user.
        "--runas=0",
        ...["-t", "none", "-u", "none", "-T", "none", "-U", "none"],
        ...(hasLoopbackNameServer() ? ["--dns-forward", NAME_SERVER] : []),
        "--netns",
        "/proc/self/fd/3",
      ],
      { cwd: "/", env: {}, detached: true, stdio: ["pipe", "ignore", "pipe", namespace, ...userDescriptors(tools)] },
    );
    closeSync(namespace);
    const lastLine = lastLineOf(pasta.stderr);
    const ended = exitOf(pasta);
    pasta.stdin?.on("error", () => undefined);
    if (pasta.pid === undefined) throw new Error(`pasta cannot be started: ${await ended}`);
    this.#pasta = pasta;
    await watch(pasta.pid);
    pasta.stdin?.end("go\n");
    let how: string | null = null;
    void ended.then((text) => {
      how = text;
      this.#end(`pasta, which connects its network, ended (${text})`);
    });
    for (const until = Date.now() + READY_MS; this.gateway() === null; await sleep(STEP_MS)) {
      if (how !== null) {
        const line = lastLine() || how;
        // Some machines give this device to root only.
        const advice = /\btun\b/.test(line) ? " (as root: chmod 0666 /dev/net/tun)" : "";
        throw new Error(`pasta cannot connect a network namespace: ${line}${advice}`);
      }
      if (Date.now() > until) throw new Error("pasta did not connect a network namespace in time");
    }
    pasta.unref();
  }

  /** Options of nsenter for the namespace. */
  get options(): string[] {
    return [`--net=/proc/${this.#pid}/ns/net`];
  }

  /** The address at which services reach the loopback interface of the machine. */
  gateway(): string | null {
    return gatewayOf(readKernelFile(`/proc/${this.#pid}/net/route`) ?? "");
  }

  /** Folder with the kernel's tables of its sockets. */
  get tables(): string {
    return `/proc/${this.#pid}/net`;
  }

  listeners(): Promise<Listener[] | null> {
    return listeners(this.tables);
  }

  readonly recentListeners = recentListenersOf(() => this.tables);

  readonly dial: Dial = async (port, signal) => {
    signal.throwIfAborted();
    const request = this.#request({ connect: port });
    // The kernel can let a connection wait for minutes; its socket is not needed then.
    const { socket } = await raceAbort(request, signal).catch((error: unknown) => {
      void request.then(
        (late) => late.socket?.destroy(),
        () => undefined,
      );
      throw error;
    });
    if (socket === undefined) throw new Error("The connection ended before it was handed over.");
    socket.allowHalfOpen = true;
    socket.on("error", () => {});
    if (signal.aborted) socket.destroy();
    signal.throwIfAborted();
    return socket;
  };

  async forward(host: string, port: number, to: () => number | undefined): Promise<Forward | null> {
    const target = to();
    if (target === undefined) return null;
    const { answer, id } = await this.#request({ forward: { host, port, to: target } });
    if (!("listens" in answer) || !answer.listens) return null;
    return {
      close: async () => {
        await this.#request({ close: id }).catch(() => undefined);
      },
    };
  }

  /** Ends the namespace's processes; it ends with the last service in it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { agent } = this;
    const pasta = this.#pasta;
    const ends = [agent, ...(pasta === null ? [] : [pasta])].map(
      (child) =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.ref();
          child.once("exit", () => resolve());
          child.kill("SIGKILL");
        }),
    );
    await Promise.all(ends);
    this.#refuse("The stack's network was closed.");
    if (pasta?.pid !== undefined) await this.opening.unwatch(pasta.pid);
    this.#isClosed();
  }

  #end(reason: string): void {
    this.#refuse(`The stack's network is gone: ${reason}.`);
    if (this.#closing === null) this.#lose(reason);
  }

  #refuse(message: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(message));
    this.#waiting.clear();
  }

  #request(
    request: { connect: number } | { forward: { host: string; port: number; to: number } } | { close: number },
  ): Promise<{ id: number; answer: AgentAnswer; socket?: Socket | undefined }> {
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve, reject) => {
      if (!this.agent.connected) return reject(new Error("The stack's network is gone."));
      this.#waiting.set(id, { resolve: (answer, socket) => resolve({ id, answer, socket }), reject });
      this.agent.send({ id, ...request } satisfies AgentRequest, (error) => {
        if (error === null) return;
        this.#waiting.get(id)?.reject(error);
        this.#waiting.delete(id);
      });
    });
  }

  #answer(answer: AgentAnswer, socket: Socket | undefined): void {
    if (!("id" in answer)) return;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (waiting === undefined) return void socket?.destroy();
    if ("error" in answer) waiting.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
    else waiting.resolve(answer, socket);
  }
}
