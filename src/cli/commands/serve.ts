/** `stackwarden serve`: the HTTP door. */
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { StackwardenError } from "../../stack/errors.js";
import type { StackManager } from "../../stack/model.js";
import { VERSION } from "../../version.js";
import type { ControlDoor } from "../control/door.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CliHost, CommonOptions } from "../session.js";

export interface ServeOptions extends CommonOptions {
  host?: string;
  port?: number;
  tlsCert?: string;
  tlsKey?: string;
  insecureBind?: boolean;
  allowedHost?: string[];
  allowedOrigin?: string[];
}

/** Not assigned to anybody. */
export const DEFAULT_PORT = 7717;
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);
/** How often slow requests are looked for. */
const CHECK_MS = 5000;
/** For calls under way when the server is told to end. */
const DRAIN_MS = 5000;

const usage = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_INPUT", message, { hint });

async function listen(options: ServeOptions, handler: Parameters<typeof createHttpServer>[1]): Promise<Server> {
  const { host = "127.0.0.1", port = DEFAULT_PORT, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw usage("TLS needs a certificate and its key.", "Give both --tls-cert and --tls-key, or neither.");
  if (!LOOPBACK.has(host) && tlsCert === undefined && options.insecureBind !== true)
    throw usage(
      `${host} can be reached from other machines, and tokens would travel in plain text.`,
      "Give --tls-cert and --tls-key; or --insecure-bind when something in front encrypts.",
    );
  let server: Server;
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const [cert, key] = await Promise.all([readFile(tlsCert), readFile(tlsKey)]).catch((error: Error) => {
      throw usage(`The certificate or its key cannot be read: ${error.message}.`, "Give paths of PEM files.");
    });
    server = createHttpsServer({ cert, key, connectionsCheckingInterval: CHECK_MS }, handler);
  } else server = createHttpServer({ connectionsCheckingInterval: CHECK_MS }, handler ?? (() => undefined));
  // A client that sends its request slowly must not keep a connection for ever.
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new StackwardenError("PORT_IN_USE", `${host}:${port} cannot be listened on: ${error.code}.`, {
          hint: "Choose another with --port.",
          cause: error,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  return server;
}

/** Lets calls under way finish, for a while. */
async function drain(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await closed;
  clearTimeout(timer);
}

export async function serve(options: ServeOptions, host: CliHost): Promise<ExitCode> {
  const [{ loadConfig }, { createLogger }, { createHttpApp }, { createMcpHttpDoor }, { TokenStore }] =
    await Promise.all([
      import("../../config/load.js"),
      import("../logger.js"),
      import("../../http/app.js"),
      import("../../mcp/http.js"),
      import("../../http/tokens.js"),
    ]);
  const terminal = createTerminal(options.json === true);
  const config = await loadConfig({ flags: options, env: process.env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  const tokens = await TokenStore.open(config.stateDir);
  let manager: Promise<StackManager> | undefined;
  let door: ControlDoor | undefined;
  const getManager = (): Promise<StackManager> => {
    manager ??= host.composeManager(config, logger).then(async (made) => {
      const { openManagerDoor } = await import("../manager-door.js");
      door = await openManagerDoor(config, logger, made);
      return made;
    });
    return manager;
  };
  const { app, close } = createHttpApp({
    getManager,
    tokens,
    version: VERSION,
    logger,
    readOnly: config.readOnly,
    allowedHosts: [...(options.host === undefined ? [] : [options.host]), ...(options.allowedHost ?? [])],
    allowedOrigins: options.allowedOrigin ?? [],
    openMcpDoor: (given) => createMcpHttpDoor({ ...given, version: VERSION, logger }),
  });
  const stop = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve(signal));
  });
  const server = await listen(options, app);
  const { address, family, port } = server.address() as AddressInfo;
  const scheme = options.tlsCert === undefined ? "http" : "https";
  const url = `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  const places = { url, mcp: `${url}/mcp`, rest: `${url}/api/v1`, token_file: tokens.tokenFile };
  terminal.print(
    terminal.json
      ? JSON.stringify(places)
      : [`MCP    ${places.mcp}`, `REST   ${places.rest}`, `token  in ${places.token_file}`].join("\n"),
  );
  const reason = await stop;
  terminal.note(dim(`Ending, because of ${reason}…`));
  // A second signal ends this process at once; the watchdog then ends the services.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(EXIT.interrupted));
  const drained = drain(server);
  await close();
  await drained;
  await (await manager)?.shutdown(reason);
  await door?.close();
  return EXIT.ok;
}
