/** What every command needs: the configuration, the project it is about, and a way to call operations where its stack runs. */
import { basename, resolve } from "node:path";
import type { ConfigFlags } from "../config/settings.js";
import type { Config } from "../config/types.js";
import type { ControlClient } from "../control/client.js";
import type { ServerStatus } from "../daemon/handshake.js";
import type { Logger } from "../logger.js";
import type { CallContext, Progress, SharedStackManager, StackManager } from "../stack/model.js";
import { connectDaemon } from "./daemon-client.js";
import { createTerminal, type Terminal } from "./output/terminal.js";

export interface CliHost {
  composeManager(config: Config, logger: Logger): Promise<SharedStackManager>;
  /** Path of the program, which the background server is started with. */
  program: string;
}

export interface CommonOptions extends ConfigFlags {
  /** Default: $STACKWARDEN_PROJECT, else the folder's name. */
  project?: string;
  json?: boolean;
}

export interface OpenSessionOptions {
  /** Start the background server where none runs, unless another process holds the stack. Default false. */
  start?: boolean;
  /** Have the server stop what this command started, however the command ends. Default false. */
  stopOnExit?: boolean;
}

export interface Session {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly project: string;
  /** Absolute path of the project's folder: what was named, or where the project's name comes from. */
  readonly folder: string | undefined;
  /** Aborted by SIGINT, SIGTERM or SIGHUP, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** This process's own manager, made at the first call. */
  manager(): Promise<StackManager>;
  /** The process of its own that runs the project's stack (`mcp --standalone`), or null. */
  holder(project?: string): Promise<ControlClient | null>;
  /** The user's server, or null. */
  server(): Promise<{ client: ControlClient; status: ServerStatus } | null>;
  /**
   * Calls an operation where the project's stack runs: in a process of its own, else in the user's server, else here.
   * @param signal default: the session's
   */
  call<T>(
    operation: string,
    input: Record<string, unknown>,
    progress?: (progress: Progress) => void,
    signal?: AbortSignal,
    output?: CallContext["output"],
  ): Promise<T>;
  /** Ends what this command began. */
  close(): Promise<void>;
}

/** Input without the options that were not given. */
export const given = (input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));

export async function openSession(
  options: CommonOptions,
  host: CliHost,
  { start = false, stopOnExit = false }: OpenSessionOptions = {},
): Promise<Session> {
  const [{ loadConfig }, { createLogger }, { projectIdFrom }] = await Promise.all([
    import("../config/load.js"),
    import("../pino-logger.js"),
    import("../stack/project-id.js"),
  ]);
  const env = process.env;
  // A person at a terminal wants the command's own words, not the server's log.
  const logLevel = options.logLevel ?? env.STACKWARDEN_LOG_LEVEL ?? "warn";
  const config = await loadConfig({ flags: { ...options, logLevel }, env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  const named = options.project ?? env.STACKWARDEN_PROJECT;
  // A project that is named may lie anywhere; one that is not is the folder one is in, not one of the same name elsewhere.
  const folder = named !== undefined && options.folder === undefined ? undefined : resolve(options.folder ?? ".");
  const project = named ?? projectIdFrom(basename(folder ?? "")) ?? "";
  const terminal = createTerminal(options.json === true);
  const stop = new AbortController();
  const over = AbortSignal.any([stop.signal, terminal.unread]);
  const interrupt = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, interrupt);
  let own: Promise<StackManager> | undefined;
  const holders = new Map<string, Promise<ControlClient | null>>();
  let joined: ReturnType<Session["server"]> | undefined;
  const manager = (): Promise<StackManager> => {
    own ??= host.composeManager(config, logger);
    return own;
  };
  const holder = (of = project): Promise<ControlClient | null> => {
    let client = holders.get(of);
    if (client === undefined) {
      client = connectHolder(config.stateDir, of);
      holders.set(of, client);
    }
    return client;
  };
  const server: Session["server"] = () => {
    joined ??= connectDaemon({
      stateDir: config.stateDir,
      options,
      stopOnExit,
      ...(start ? { program: host.program } : {}),
    });
    return joined;
  };
  return {
    config,
    logger,
    terminal,
    project,
    folder,
    signal: over,
    manager,
    holder,
    server,
    call: async <T>(
      operation: string,
      input: Record<string, unknown>,
      progress?: (progress: Progress) => void,
      signal = over,
      output?: CallContext["output"],
    ) => {
      const { invoke, operationNamed, parseInput } = await import("../operations/index.js");
      const definition = operationNamed(operation);
      // What is wrong with the input is said before anybody is asked.
      parseInput(definition, input);
      const client = (await holder()) ?? (await server())?.client;
      if (client !== undefined) return (await client.call(operation, input, progress, signal, output)) as T;
      const context = {
        manager: await manager(),
        signal,
        actor: "cli",
        progress: progress ?? (() => undefined),
        ...(output === undefined ? {} : { output }),
      };
      return (await invoke(definition, input, context, { readOnly: config.readOnly })) as T;
    },
    close: async () => {
      for (const signal of signals) process.removeListener(signal, interrupt);
      for (const client of holders.values()) (await client.catch(() => null))?.close();
      (await joined?.catch(() => null))?.client.close();
      await (await own)?.shutdown("the command ended");
    },
  };
}

async function connectHolder(stateDir: string, project: string): Promise<ControlClient | null> {
  const { PROJECT_ID } = await import("../stack/project-id.js");
  // A name that is none is refused by the operation, not looked for on disk.
  if (!PROJECT_ID.test(project)) return null;
  const [{ connectControl }, { controlSocket, trusted }] = await Promise.all([
    import("../control/client.js"),
    import("../control/socket-path.js"),
  ]);
  return (await trusted(stateDir, project)) ? connectControl(controlSocket(stateDir, project)) : null;
}
