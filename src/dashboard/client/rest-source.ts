/** Data source over REST. The token travels only in the Authorization header. */
import { type CommandPolicy, type DataSource, Failure, type LogFilter, logInput, sleep, startInput } from "./source.js";
import { serverSentEvents } from "./sse.js";
import type { Answers, Input, LogLine, OperationName } from "./types.js";

const ROUTES: Record<OperationName, [method: "GET" | "POST" | "PUT", path: string]> = {
  list_stacks: ["GET", "/projects"],
  health_status: ["GET", "/projects/{project}/health"],
  get_stats: ["GET", "/projects/{project}/stats"],
  get_events: ["GET", "/projects/{project}/events"],
  diagnose: ["GET", "/projects/{project}/diagnosis"],
  check_stack: ["POST", "/projects/{project}/check"],
  start_stack: ["POST", "/projects/{project}/start"],
  stop_stack: ["POST", "/projects/{project}/stop"],
  run_command: ["POST", "/projects/{project}/services/{service}/commands"],
  list_snapshots: ["GET", "/projects/{project}/snapshots"],
  save_snapshot: ["POST", "/projects/{project}/snapshots"],
  restore_snapshot: ["POST", "/projects/{project}/snapshots/{snapshot}/restore"],
  delete_snapshot: ["POST", "/projects/{project}/snapshots/{snapshot}/delete"],
  restart_service: ["POST", "/projects/{project}/services/{service}/restart"],
  set_limits: ["PUT", "/projects/{project}/services/{service}/limits"],
};

/** Pause before reconnecting a broken stream. */
const AGAIN_MS = 2000;

export interface Access {
  name: string;
  scope: "read" | "operate";
  commands: CommandPolicy;
}

export class RestSource implements DataSource {
  readonly waitSeconds = 25;
  readonly canDownload = true;
  readonly commandSeconds = 600;
  readonly #headers: Record<string, string>;
  mayChange = false;
  commands: CommandPolicy = "off";

  private constructor(token: string) {
    this.#headers = { Authorization: `Bearer ${token}` };
  }

  /** @throws Failure `UNAUTHORIZED` when the token is not valid */
  static async open(token: string): Promise<{ source: RestSource; access: Access }> {
    const source = new RestSource(token);
    const access = (await (await source.#fetch("GET", "/access")).json()) as Access;
    source.mayChange = access.scope === "operate";
    source.commands = access.commands;
    return { source, access };
  }

  async #fetch(method: string, path: string, options: RequestInit = {}): Promise<Response> {
    const headers = { ...this.#headers, ...(options.headers as Record<string, string> | undefined) };
    const response = await fetch(`api/v1${path}`, { ...options, method, headers }).catch((error: unknown) => {
      if (options.signal?.aborted === true) throw error;
      throw new Failure("UNREACHABLE", "The server cannot be reached.", "Is `stackwarden serve` still running?");
    });
    if (response.ok) return response;
    const problem: unknown = await response.json().catch(() => null);
    throw Failure.of(problem, `The server answered ${response.status}.`);
  }

  async call<Name extends OperationName>(operation: Name, input: Input, signal?: AbortSignal): Promise<Answers[Name]> {
    const [method, template] = ROUTES[operation];
    const fields: Record<string, unknown> = { ...input };
    const path = template.replace(/\{(\w+)\}/g, (_all, name: string) => {
      const { [name]: value } = fields;
      delete fields[name];
      return encodeURIComponent(String(value));
    });
    const abort = signal === undefined ? {} : { signal };
    const response = await (method === "GET"
      ? this.#fetch(method, `${path}${query(fields)}`, abort)
      : this.#fetch(method, path, {
          ...abort,
          body: JSON.stringify(fields),
          headers: { "Content-Type": "application/json" },
        }));
    return response.json() as Promise<Answers[Name]>;
  }

  async followLogs(filter: LogFilter, onLines: (lines: LogLine[]) => void, signal: AbortSignal): Promise<void> {
    const { project = "", ...fields } = logInput(filter);
    const path = `/projects/${encodeURIComponent(project)}/logs${query({ ...fields, ...startInput(filter), follow: true })}`;
    let cursor = "";
    while (!signal.aborted) {
      try {
        const headers: Record<string, string> = cursor === "" ? {} : { "Last-Event-ID": cursor };
        const response = await this.#fetch("GET", path, { signal, headers });
        let lines: LogLine[] = [];
        for await (const { event, data, id } of serverSentEvents(response.body as ReadableStream<Uint8Array>)) {
          if (event === "error") throw Failure.of(JSON.parse(data), "The log ended.");
          if (event === "line") lines.push(JSON.parse(data) as LogLine);
          else if (event === "cursor") {
            cursor = id;
            onLines(lines);
            lines = [];
          }
        }
      } catch (error) {
        // A network error breaks the stream: resume where it broke.
        if (error instanceof Failure) throw error;
      }
      await sleep(AGAIN_MS, signal);
    }
  }

  openLink(): boolean {
    return false;
  }
}

function query(fields: Record<string, unknown>): string {
  const definedFields = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(definedFields.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}
