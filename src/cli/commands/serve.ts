/** `stackwarden serve`: the background server in the foreground, with HTTP. */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { surviveUnhandledRejections } from "../../daemon/unhandled-rejections.js";
import { StackwardenError } from "../../errors.js";
import type { HttpServer } from "../../http/server.js";
import type { SharedStackManager, StackManager } from "../../stack/model.js";
import { VERSION } from "../../version.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CliHost, CommonOptions } from "../session.js";

export interface ServeOptions extends CommonOptions {
  host?: string;
  port?: number;
  /** False: listen on the socket file only. */
  address?: boolean;
  socket?: string;
  tlsCert?: string;
  tlsKey?: string;
  insecureBind?: boolean;
  allowedHost?: string[];
  allowedOrigin?: string[];
}

/** A port without an IANA assignment. */
export const DEFAULT_PORT = 7717;

export async function serve(options: ServeOptions, host: CliHost): Promise<ExitCode> {
  const [
    { loadConfig },
    { createLogger },
    { openHttpServer },
    { httpSocket },
    { createMcpHttpHandler },
    { TokenStore },
  ] = await Promise.all([
    import("../../config/load.js"),
    import("../../pino-logger.js"),
    import("../../http/server.js"),
    import("../../http/socket-path.js"),
    import("../../mcp/http.js"),
    import("../../http/tokens.js"),
  ]);
  const terminal = createTerminal(options.json === true);
  const config = await loadConfig({ flags: options, env: process.env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  for (const warning of config.warnings) logger.warn(warning);
  surviveUnhandledRejections(logger);
  const tokens = await TokenStore.open(config.stateDir);
  const oauth = config.oauth === undefined ? null : (await import("../../http/oauth.js")).createOAuth(config.oauth);
  const socketPath = options.socket === undefined ? await httpSocket(config.stateDir) : resolve(options.socket);
  const { replaceIdleDaemon } = await import("../../daemon/replace-idle.js");
  let served: string | undefined;
  let open: HttpServer | undefined;
  // HTTP clients are limited to the roots of this command; only the user's own commands reach every project.
  let view: StackManager | undefined;
  const viewOf = (all: SharedStackManager): StackManager => all.within({ settings: config, everyProject: false });
  const user = await replaceIdleDaemon({
    stateDir: config.stateDir,
    version: VERSION,
    logger,
    composeManager: async () => {
      const all = await host.composeManager(config, logger);
      // Counts events from now on: agents and commands can use the manager before the first HTTP request.
      view = viewOf(all);
      open?.follow(view);
      return all;
    },
    idleMs: null,
    http: () => served,
    dashboard: {
      url: null,
      openRequests: 0,
      link: async () => {
        if (open?.url == null)
          throw new StackwardenError("SERVER_IN_USE", "`stackwarden serve` listens on a socket file only.", {
            hint: "Run it without --no-address, or stop it: `stackwarden dashboard` then starts a server.",
          });
        return { url: open.url, token: (await readFile(tokens.tokenFile, "utf8")).trim() };
      },
      close: async () => undefined,
    },
  });
  const getManager = async (): Promise<StackManager> => {
    const all = await user.manager();
    view ??= viewOf(all);
    return view;
  };
  const stop = new Promise<string>((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done(signal));
  });
  const { host: address, port = DEFAULT_PORT, tlsCert, tlsKey, insecureBind } = options;
  const opening = openHttpServer({
    address:
      options.address === false
        ? null
        : {
            port,
            ...(address === undefined ? {} : { host: address }),
            ...(tlsCert === undefined ? {} : { tlsCert }),
            ...(tlsKey === undefined ? {} : { tlsKey }),
            ...(insecureBind === undefined ? {} : { insecureBind }),
          },
    socket: socketPath,
    getManager,
    tokens,
    ...(oauth === null ? {} : { oauth }),
    version: VERSION,
    logger,
    readOnly: config.readOnly,
    commands: config.commands,
    allowedHosts: options.allowedHost ?? [],
    allowedOrigins: options.allowedOrigin ?? [],
    createMcpHandler: (handlerOptions) =>
      createMcpHttpHandler({ ...handlerOptions, commands: config.commands, version: VERSION, logger }),
  });
  const http = await opening.catch(async (error: unknown) => {
    await user.close("the HTTP server could not start");
    throw error;
  });
  open = http;
  if (view !== undefined) http.follow(view);
  const { url, socket } = http;
  served = url ?? socket ?? undefined;
  const places = {
    ...(url === null ? {} : { url, mcp: `${url}/mcp`, rest: `${url}/api/v1`, dashboard: `${url}/` }),
    socket,
    token_file: tokens.tokenFile,
  };
  const lines = [
    ...(url === null ? [] : [`MCP        ${url}/mcp`, `REST       ${url}/api/v1`, `dashboard  ${url}/`]),
    `socket     ${socket}`,
    `token      in ${tokens.tokenFile}`,
  ];
  terminal.print(terminal.json ? JSON.stringify(places) : lines.join("\n"));
  const reason = await Promise.race([stop, user.stopRequested]);
  terminal.note(dim(`Shutting down (${reason})…`));
  // A second signal ends this process immediately; the watchdog then ends the services.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(EXIT.interrupted));
  await http.close();
  await user.close(reason);
  return EXIT.ok;
}
