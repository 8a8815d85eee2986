/** A fake engine on a socket, for responses that a real one cannot be made to give. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Engine, type EngineApi, openEngine } from "../../../src/runtimes/docker/engine/engine.js";

/** An object is sent as JSON; a function handles the request; `cut` closes the connection. */
export type FakeAnswer =
  | { status?: number; body?: unknown; lines?: unknown[] }
  | "cut"
  | ((request: IncomingMessage, response: ServerResponse) => void);

export interface FakeEngine {
  engine: Engine;
  /** `METHOD path`, without the query. */
  requests: string[];
  /** Sets the response to a request such as `POST /build`; several are sent one after the other. */
  on(request: string, ...answers: FakeAnswer[]): void;
  close(): Promise<void>;
}

export interface FakeEngineOptions {
  info?: object;
  api?: Partial<EngineApi>;
}

const INFO = { OSType: "linux", Architecture: "x86_64", NCPU: 2, MemTotal: 4096 * 1_048_576 };

const ping =
  ({ version = "1.41", podman = false }: Partial<EngineApi> = {}): FakeAnswer =>
  (_request, response) => {
    response.setHeader("api-version", version);
    if (podman) response.setHeader("libpod-api-version", "4.3.1");
    response.end("OK");
  };

/** @param path of the socket */
export async function startFakeEngine(path: string, options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const answers = new Map<string, FakeAnswer[]>([
    ["GET /info", [{ body: { ...INFO, ...options.info } }]],
    ["GET /_ping", [ping(options.api)]],
  ]);
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const key = `${request.method} ${decodeURIComponent((request.url ?? "").replace(/\?.*$/, ""))}`;
    requests.push(key);
    const [entry] = [...answers].filter(
      ([route]) => route === key || (route.endsWith("*") && key.startsWith(route.slice(0, -1))),
    );
    const list = entry?.[1] ?? [];
    const answer = list.length > 1 ? list.shift() : list[0];
    if (answer === "cut") return request.socket.destroy();
    if (typeof answer === "function") return answer(request, response);
    const { status = answer === undefined ? 404 : 200, body, lines } = answer ?? { body: { message: "no such thing" } };
    request.resume();
    response.writeHead(status, { "content-type": "application/json" });
    if (lines === undefined) response.end(body === undefined ? undefined : JSON.stringify(body));
    else response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const engine = await openEngine({ host: `unix://${path}`, source: "test" }, {}, AbortSignal.timeout(10_000));
  return {
    engine,
    requests,
    on: (request, ...list) => void answers.set(request, list),
    close: async () => {
      await engine.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
