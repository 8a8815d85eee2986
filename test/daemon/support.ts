/** The built program as users start it: commands that end, and `mcp` with its JSON-RPC messages. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { BINARY, type TestBench, until } from "../e2e/support/bench.js";
import { detailed } from "../support/detailed.js";

// biome-ignore lint/suspicious/noExplicitAny: messages are looked at field by field.
export type Message = any;

export const INIT = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export function run(bench: TestBench, args: string[], env: Record<string, string> = {}, binary = BINARY): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [binary, ...args],
      { cwd: bench.projects, env: { ...bench.commandEnvironment(), ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

export class RawClient {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #last = 0;

  constructor(bench: TestBench, args: string[] = [], env: Record<string, string> = {}, binary = BINARY) {
    this.child = spawn(process.execPath, [binary, "mcp", ...args], {
      cwd: bench.projects,
      env: { PATH: process.env.PATH ?? "", ...bench.environment(), ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.child.stdin?.on("error", () => undefined);
    this.#exit = once(this.child, "exit");
  }

  get messages(): Message[] {
    return this.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }

  send(message: object): void {
    this.child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** Sends without waiting. @returns the id */
  begin(method: string, params: object = {}): number {
    this.#last += 1;
    this.send({ id: this.#last, method, params });
    return this.#last;
  }

  answer(id: number): Promise<Message> {
    return until(`the answer to ${id}; ${this.stdout.slice(-2000)} ${this.stderr}`, () =>
      this.messages.find((message) => message.id === id && message.method === undefined),
    );
  }

  request(method: string, params: object = {}): Promise<Message> {
    return this.answer(this.begin(method, params));
  }

  async initialize(): Promise<this> {
    const { error } = await this.request("initialize", INIT);
    if (error !== undefined) throw new Error(`initialize: ${JSON.stringify(error)}`);
    this.send({ method: "notifications/initialized" });
    return this;
  }

  async tool(name: string, input: object = {}): Promise<Message> {
    const { result } = await this.request("tools/call", { name, arguments: detailed(name, input) });
    return result.structuredContent;
  }

  notifications(method: string): Message[] {
    return this.messages.filter((message) => message.method === method).map(({ params }) => params);
  }

  /** Milliseconds until the process ended, and its exit code. */
  async ended(): Promise<{ code: number | null; ms: number }> {
    const begun = Date.now();
    const [code] = (await this.#exit) as [number | null];
    return { code, ms: Date.now() - begun };
  }

  end(): void {
    this.child.stdin?.end();
  }
}
