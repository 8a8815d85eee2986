/** A session of one command: its configuration, its project, and calls of operations in the process that runs the stack. */
import { resolve } from "node:path";
import type { ConfigFlags } from "../config/settings.js";
import type { Config } from "../config/types.js";
import type { CallStreams, ControlClient } from "../control/client.js";
import type { ServerStatus } from "../daemon/handshake.js";
import type { Logger } from "../logger.js";
import type { Progress, SharedStackManager, StackManager } from "../stack/model.js";
import { connectDaemon } from "./daemon-client.js";
import { createTerminal, type Terminal } from "./output/terminal.js";

export interface CliHost {
  composeManager(config: Config, logger: Logger): Promise<SharedStackManager>;
  /** Path of the stackwarden program; starts the background server. */
  program: string;
}

export interface CommonOptions extends ConfigFlags {
  /** Default: $STACKWARDEN_PROJECT, else the project whose stack ran in this folder, else the folder's name. */
  project?: string;
  json?: boolean;
}

export interface OpenSessionOptions {
  /** Start the background server when it is not running, unless another process runs the stack. Default false. */
  start?: boolean;
  /** The server stops the stacks that this command started when the command ends. Default false. */
  stopOnExit?: boolean;
}

export interface Session {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly project: string;
  /** Absolute path of the project's folder; undefined when only a project id was passed. */
  readonly folder: string | undefined;
  /** Aborts on SIGINT, SIGTERM or SIGHUP, and when the reader of standard output is gone. */
  readonly signal: AbortSignal;
  /** The manager of this process; the first call creates it. */
  manager(): Promise<StackManager>;
  /** The standalone process that runs the project's stack (`mcp --standalone`), or null. */
  holder(project?: string): Promise<ControlClient | null>;
  /** The background server, or null. */
  server(): Promise<{ client: ControlClient; status: ServerStatus } | null>;
  /**
   * Calls an operation in the process that runs the stack: a standalone one, else the background server, else this one.
   * @param signal default: the session's
   */
  call<T>(
    operation: string,
    input: Record<string, unknown>,
    progress?: (progress: Progress) => void,
    signal?: AbortSignal,
    streams?: CallStreams,
  ): Promise<T>;
  /** Closes connections and shuts down this process's manager. */
  close(): Promise<void>;
}

/** Removes the options that were not passed. */
export const given = (input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));

export async function openSession(
  options: CommonOptions,
  host: CliHost,
  { start = false, stopOnExit = false }: OpenSessionOptions = {},
): Promise<Session> {
  const [{ loadConfig }, { createLogger }, { defaultProjectId }] = await Promise.all([
    import("../config/load.js"),
    import("../pino-logger.js"),
    import("../stack/default-project.js"),
  ]);
  const env = process.env;
  // The command's output is what a person at a terminal wants, so that only warnings are logged.
  const logLevel = options.logLevel ?? env.STACKWARDEN_LOG_LEVEL ?? "warn";
  const config = await loadConfig({ flags: { ...options, logLevel }, env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  for (const warning of config.warnings) logger.warn(warning);
  const named = options.project ?? env.STACKWARDEN_PROJECT;
  // An explicit --project can be anywhere. Otherwise use the current folder, never another folder with the same name.
  const folder = named !== undefined && options.folder === undefined ? undefined : resolve(options.folder ?? ".");
  const project =
    named ?? (await projectIn(config, folder ?? "")) ?? (folder === undefined ? null : defaultProjectId(folder)) ?? "";
  const terminal = createTerminal(options.json === true);
  const stop = new AbortController();
  const over = AbortSignal.any([stop.signal, terminal.unread]);
  const interrupt = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, interrupt);
  let own: Promise<SharedStackManager> | undefined;
  let view: StackManager | undefined;
  const holders = new Map<string, Promise<ControlClient | null>>();
  let joined: ReturnType<Session["server"]> | undefined;
  const manager = async (): Promise<StackManager> => {
    own ??= host.composeManager(config, logger);
    // As in the background server: the user's commands reach every project of the user.
    view ??= (await own).within({ settings: config, everyProject: true });
    return view;
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
      streams: CallStreams = {},
    ) => {
      const { invoke, operationNamed, parseInput } = await import("../operations/index.js");
      const definition = operationNamed(operation);
      // Reports invalid input without a connection.
      parseInput(definition, input);
      const client = (await holder()) ?? (await server())?.client;
      if (client !== undefined) return (await client.call(operation, input, progress, signal, streams)) as T;
      const context = {
        manager: await manager(),
        signal,
        actor: "cli",
        progress: progress ?? (() => undefined),
        ...streams,
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

/** A folder has one project, whatever its stack was called when it was started. */
async function projectIn(config: Config, folder: string): Promise<string | null> {
  const { ProjectStore } = await import("../stack/storage/project-store.js");
  return new ProjectStore(config).projectIn(folder);
}

async function connectHolder(stateDir: string, project: string): Promise<ControlClient | null> {
  const { PROJECT_ID } = await import("../stack/project-id.js");
  // The operation rejects an invalid project id; do not build a path from it.
  if (!PROJECT_ID.test(project)) return null;
  const [{ connectControl }, { controlSocket, trusted }] = await Promise.all([
    import("../control/client.js"),
    import("../control/socket-path.js"),
  ]);
  return (await trusted(stateDir, project)) ? connectControl(controlSocket(stateDir, project)) : null;
}
