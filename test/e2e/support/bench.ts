/**
 * A folder for projects and state with stackwarden servers, driven by real MCP clients over stdio: one server for each
 * client (`standalone`), or one background server for all (`shared`), which ends with the bench.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { ProgressCallback } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { ErrorReport } from "../../../src/errors.js";
import { lockHolder } from "../../../src/system/lock-file.js";
import { detailed } from "../../support/detailed.js";
import { withPostgresCache } from "../../support/postgres-cache.js";
import { expectNothingLeft, processesOf } from "./leftovers.js";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const BINARY = join(ROOT, "dist", "stackwarden.js");

// biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field, as a client does.
export type Answer = any;

export type Mode = "standalone" | "shared";
export const MODES: readonly Mode[] = ["shared", "standalone"];

export interface Server {
  client: Client;
  /** The process that runs the stacks: in shared mode the background server at the time of the connection. */
  pid: number;
  /** The process that the client started. */
  stdio: number;
  /** Standard error so far. */
  stderr(): string;
  /** @throws when the tool answers with an error */
  call(name: string, input?: object, options?: CallOptions): Promise<Answer>;
  /** Error that the call is expected to return. */
  refused(name: string, input?: object, options?: CallOptions): Promise<ErrorReport>;
  /** Kills the process that runs the stacks with SIGKILL. */
  kill(): void;
  close(): Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  onprogress?: ProgressCallback;
}

/** Process id of the state directory's background server, when one runs. */
const backgroundOf = (state: string): number | null => lockHolder(join(state, "server", "lock"));

/** Ends the background server and its stacks. @returns its process id */
export async function endBackground(state: string): Promise<number | null> {
  const pid = backgroundOf(state);
  if (pid === null) return null;
  process.kill(pid, "SIGTERM");
  await until("the end of the background server", () => backgroundOf(state) === null);
  return pid;
}

/** @returns the report of each service of a project, by name */
export async function servicesOf(server: Server, project: string): Promise<Answer> {
  const { stacks } = await server.call("list_stacks");
  return stacks.find((one: { project: string }) => one.project === project).services;
}

export class TestBench {
  #folder: string | undefined;
  readonly #servers: Server[] = [];
  readonly pids: number[] = [];
  /** Undoes changes to the folder, after the servers have ended. */
  readonly undo: (() => void)[] = [];
  /** Command that starts the servers, for example as another user. */
  wrapper: readonly string[] = [];

  constructor(readonly mode: Mode = "shared") {}

  /** Created at its first use, so that skipped tests leave nothing. */
  get folder(): string {
    if (this.#folder === undefined) {
      this.#folder = mkdtempSync(join(tmpdir(), "stackwarden-e2e-"));
      // Services run as other users and must be able to enter.
      chmodSync(this.#folder, 0o755);
      mkdirSync(join(this.#folder, "projects"), { mode: 0o755 });
    }
    return this.#folder;
  }

  get projects(): string {
    return join(this.folder, "projects");
  }

  get state(): string {
    return join(this.folder, "state");
  }

  /** A state directory with PostgreSQL's programs and, as root, its template, which a server would otherwise make. */
  async withPostgres(): Promise<this> {
    await withPostgresCache(this.state);
    return this;
  }

  /** Writes files of a project. @returns its folder */
  project(name: string, files: Record<string, string>): string {
    const folder = join(this.projects, name);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o755 });
      writeFileSync(join(folder, path), content, { mode: 0o644 });
    }
    return folder;
  }

  async server(env: Record<string, string> = {}, args: string[] = [], name = "e2e"): Promise<Server> {
    const [command = process.execPath, ...before] = [...this.wrapper, process.execPath];
    const standalone = this.mode === "standalone" || args.includes("--standalone");
    const mode = standalone && !args.includes("--standalone") ? ["--standalone"] : [];
    const transport = new StdioClientTransport({
      command,
      args: [...before, BINARY, "mcp", ...mode, ...args],
      cwd: this.projects,
      env: { PATH: process.env.PATH ?? "", ...this.environment(), ...env },
      stderr: "pipe",
    });
    let stderr = "";
    transport.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    const client = new Client({ name, version: "1.0.0" });
    await client.connect(transport);
    const stdio = transport.pid as number;
    const pid = standalone ? stdio : this.background();
    // process.kill(0) would end the process group of the test.
    if (pid === null) {
      await client.close();
      throw new Error(`no background server runs: ${stderr}`);
    }
    this.pids.push(pid);
    const raw = async (name: string, input: object, { signal, onprogress }: CallOptions) =>
      client.callTool({ name, arguments: detailed(name, input) }, undefined, {
        timeout: 300_000,
        resetTimeoutOnProgress: true,
        ...(signal === undefined ? {} : { signal }),
        ...(onprogress === undefined ? {} : { onprogress }),
      }) as Promise<{ isError?: boolean; structuredContent: Answer }>;
    const server: Server = {
      client,
      pid,
      stdio,
      stderr: () => stderr,
      call: async (name, input = {}, options = {}) => {
        const { isError, structuredContent } = await raw(name, input, options);
        if (isError) throw new Error(`${name}: ${JSON.stringify(structuredContent)}\n${stderr}`);
        return structuredContent;
      },
      refused: async (name, input = {}, options = {}) => {
        const { isError, structuredContent } = await raw(name, input, options);
        if (!isError) throw new Error(`${name} was not refused: ${JSON.stringify(structuredContent)}`);
        return structuredContent as ErrorReport;
      },
      kill: () => process.kill(pid, "SIGKILL"),
      close: () => client.close(),
    };
    this.#servers.push(server);
    return server;
  }

  environment(): Record<string, string> {
    return {
      STACKWARDEN_ROOTS: this.projects,
      STACKWARDEN_STATE_DIR: this.state,
      STACKWARDEN_LOG_LEVEL: "warn",
      STACKWARDEN_RUNTIME: "local",
      // The background server ends by itself when the test process dies.
      STACKWARDEN_SERVER_IDLE_SECONDS: "15",
    };
  }

  /** Environment of commands that a test runs. */
  commandEnvironment(): { PATH: string; [name: string]: string } {
    return { PATH: process.env.PATH ?? "", NO_COLOR: "1", ...this.environment() };
  }

  /** Process id of the background server, when one runs. */
  background(): number | null {
    return backgroundOf(this.state);
  }

  /** Processes of the stacks: those that name the folder, except this bench's servers and bridges. */
  processes(): string[] {
    const ours = new Set([...this.#servers.map(({ stdio }) => stdio), this.background()]);
    return processesOf(this.folder).filter((line) => !ours.has(Number(line.split(" ")[0])));
  }

  /** The background server's log. */
  log(): string {
    try {
      return readFileSync(join(this.state, "server", "server.log"), "utf8");
    } catch {
      return "";
    }
  }

  async endBackground(): Promise<void> {
    const ended = await endBackground(this.state);
    if (ended !== null && !this.pids.includes(ended)) this.pids.push(ended);
  }

  /** Ends every server. Nothing of them may remain. */
  async close(): Promise<void> {
    try {
      await Promise.all(this.#servers.map((server) => server.close().catch(() => undefined)));
      await this.endBackground();
      for (const undo of this.undo) undo();
      await expectNothingLeft(this.folder, this.pids);
    } finally {
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  }
}

export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 60_000,
): Promise<T> {
  for (const end = Date.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
  }
}

/** A small HTTP service without dependencies, with a path for each fault. */
export const APP = `
const http = require("node:http");
const port = Number(process.env.PORT);
let healthy = true;
let hanging = false;
const held = [];
console.log("app up", process.pid, process.getuid());
http.createServer((request, response) => {
  const url = new URL(request.url, "http://x");
  if (url.pathname === "/hang") hanging = true;
  if (url.pathname === "/resume") hanging = false;
  if (url.pathname === "/health" && hanging) return;
  if (url.pathname === "/health") { response.statusCode = healthy ? 200 : 500; return response.end("h"); }
  if (url.pathname === "/sick") healthy = false;
  if (url.pathname === "/well") healthy = true;
  if (url.pathname === "/exit") setTimeout(() => { console.error("fatal: told to exit"); process.exit(Number(url.searchParams.get("code") || 3)); }, 20);
  if (url.pathname === "/memory") for (let i = 0; i < Number(url.searchParams.get("mb")); i++) held.push(Buffer.alloc(1048576, 1));
  if (url.pathname === "/cpu") { const end = Date.now() + Number(url.searchParams.get("ms")); while (Date.now() < end); }
  if (url.pathname === "/flood") { let n = Number(url.searchParams.get("lines")); let i = 0; const go = () => { let s = ""; for (let k = 0; k < 1000 && i < n; k++) s += "line " + (i++) + "\\n"; if (i >= n) return process.stdout.write(s + "flood done\\n"); process.stdout.write(s, go); }; go(); }
  if (url.pathname === "/say") console.log(url.searchParams.get("text"));
  if (url.pathname === "/env") return response.end(JSON.stringify(process.env));
  response.end("ok");
}).listen(port, process.env.HOST, () => console.log("listening on", port));
process.on("SIGTERM", () => process.exit(0));
`;

/** A compose file of one \`app\` service that runs APP. */
export const appCompose = (more = "", port = "") => `
services:
  app:
    image: node:20-alpine
    ports: ["${port === "" ? "" : `${port}:`}8080"]
    healthcheck:
      test: ["CMD", "true"]
      interval: 300ms
      timeout: 2s
      retries: 2
      start_period: 20s
      start_interval: 100ms
      x-probe: { type: http, port: 8080, path: /health, status: 200 }
    restart: on-failure
    x-local:
      command: ["node", "app.js"]
${more}
`;

/** A compose file of one `app` service that sleeps. Its start ends when the check succeeds, or lasts with "false". */
export const sleepCompose = (check: "true" | "false" = "true") => `
services:
  app:
    image: busybox
    healthcheck: { test: ["CMD", "${check}"], interval: 300s, timeout: 10s, start_period: 300s, start_interval: 300s }
    restart: on-failure
    x-local: { command: ["sleep", "3000"] }
`;

/** Answers every request; its program starts in half of Node.js's processor time. */
export const SMALL_APP = `
import _socket, os
server = _socket.socket()
server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
server.bind((os.environ["HOST"], int(os.environ["PORT"])))
server.listen()
print("listening on", os.environ["PORT"], flush=True)
while True:
    connection = server._accept()[0]
    try:
        os.read(connection, 65536)
        os.write(connection, b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok")
    except OSError: pass
    os.close(connection)
`;

/** Files of a project that runs SMALL_APP as `app`, with its attributes and port. */
export const smallProject = (more = "", port = "") => ({
  "compose.yaml": appCompose(more, port)
    .replace("node:20-alpine", "python:3.11-alpine")
    .replace('["node", "app.js"]', '["python3", "-S", "app.py"]'),
  "app.py": SMALL_APP,
});
