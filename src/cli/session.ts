/** What every command needs: the configuration, the project it is about, and a way to call operations. */
import { basename, resolve } from "node:path";
import type { ConfigFlags } from "../config/settings.js";
import type { Config } from "../config/types.js";
import { StackwardenError } from "../stack/errors.js";
import type { Logger } from "../stack/logger.js";
import type { Progress, SharedStackManager, StackManager } from "../stack/model.js";
import type { ControlClient } from "./control/client.js";
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

export interface Session {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly project: string;
  /** Absolute path of the project's folder, when one was named. */
  readonly folder: string | undefined;
  /** Aborted by SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** This process's own manager, made at the first call. */
  manager(): Promise<StackManager>;
  /** The process that runs the project's stack, or null. */
  holder(project?: string): Promise<ControlClient | null>;
  /** Calls an operation where the project's stack runs, else in this process. */
  call<T>(operation: string, input: Record<string, unknown>, progress?: (progress: Progress) => void): Promise<T>;
  /** Ends what this command began. */
  close(): Promise<void>;
}

/** Input without the options that were not given. */
export const given = (input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));

export async function openSession(options: CommonOptions, host: CliHost): Promise<Session> {
  const [{ loadConfig }, { createLogger }, { projectIdFrom }] = await Promise.all([
    import("../config/load.js"),
    import("./logger.js"),
    import("../stack/project-id.js"),
  ]);
  const env = process.env;
  // A person at a terminal wants the command's own words, not the server's log.
  const logLevel = options.logLevel ?? env.STACKWARDEN_LOG_LEVEL ?? "warn";
  const config = await loadConfig({ flags: { ...options, logLevel }, env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  const folder = options.folder === undefined ? undefined : resolve(options.folder);
  const project = options.project ?? env.STACKWARDEN_PROJECT ?? projectIdFrom(basename(folder ?? process.cwd())) ?? "";
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, interrupt);
  let own: Promise<StackManager> | undefined;
  const clients = new Map<string, Promise<ControlClient | null>>();
  const manager = (): Promise<StackManager> => {
    own ??= host.composeManager(config, logger);
    return own;
  };
  const holder = (of = project): Promise<ControlClient | null> => {
    let client = clients.get(of);
    if (client === undefined) {
      client = connectHolder(config.stateDir, of);
      clients.set(of, client);
    }
    return client;
  };
  return {
    config,
    logger,
    terminal: createTerminal(options.json === true),
    project,
    folder,
    signal: stop.signal,
    manager,
    holder,
    call: async <T>(operation: string, input: Record<string, unknown>, progress?: (progress: Progress) => void) => {
      const { invoke, operationNamed, parseInput } = await import("../operations/index.js");
      const definition = operationNamed(operation);
      // What is wrong with the input is said before anybody is asked.
      parseInput(definition, input);
      const client = await holder();
      if (client !== null)
        return (await untilAborted(client.call(operation, input, progress), client, stop.signal)) as T;
      const context = {
        manager: await manager(),
        signal: stop.signal,
        actor: "cli",
        progress: progress ?? (() => undefined),
      };
      return (await invoke(definition, input, context, { readOnly: config.readOnly })) as T;
    },
    close: async () => {
      for (const signal of signals) process.removeListener(signal, interrupt);
      for (const client of clients.values()) (await client.catch(() => null))?.close();
      await (await own)?.shutdown("the command ended");
    },
  };
}

async function connectHolder(stateDir: string, project: string): Promise<ControlClient | null> {
  const { PROJECT_ID } = await import("../stack/project-id.js");
  // A name that is none is refused by the operation, not looked for on disk.
  if (!PROJECT_ID.test(project)) return null;
  const [{ connectControl }, { controlSocket, securePlace }] = await Promise.all([
    import("./control/client.js"),
    import("./control/socket-path.js"),
  ]);
  const place = controlSocket(stateDir, project);
  if (place.shared) await securePlace(place);
  return connectControl(place.path);
}

/** The holder cancels what is under way when the connection ends. */
async function untilAborted(answer: Promise<unknown>, client: ControlClient, signal: AbortSignal): Promise<unknown> {
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      client.close();
      reject(new StackwardenError("OPERATION_CANCELLED", "The command was interrupted."));
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener("abort", abort);
  }
}
