/** Sessions of the background server: each client has its own configuration and its own view of the stacks. */
import { useClientRoots } from "../config/client-roots.js";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/types.js";
import type { Logger } from "../logger.js";
import type { CallContext, SharedStackManager, StackManager } from "../stack/model.js";
import { ownedStacks } from "./owned-stacks.js";
import type { IncomingConnection } from "./server.js";

export interface SessionHost {
  stateDir: string;
  version: string;
  logger: Logger;
  manager(): Promise<SharedStackManager>;
}

/**
 * Reads the configuration with the client's flags, environment and working directory.
 * @returns a function that runs the session and resolves when it ends
 * @throws StackwardenError when the client's configuration is invalid
 */
export async function openSession(visit: IncomingConnection, host: SessionHost): Promise<() => Promise<void>> {
  const { hello, session, socket } = visit;
  const { version, logger } = host;
  const config = await loadConfig({
    flags: { ...hello.flags, stateDir: host.stateDir },
    env: hello.env,
    cwd: hello.cwd,
  });
  for (const warning of config.warnings) logger.warn(`${warning} (client ${session})`);
  const view = viewOf(visit, config, host);
  const byDefault = [...config.roots];
  const over = async (serve: () => Promise<void>): Promise<void> => {
    try {
      await serve();
    } finally {
      await view.close();
    }
  };
  if (hello.purpose === "control") {
    const [{ serveControl }, { invoke, operationNamed }] = await Promise.all([
      import("../control/control-server.js"),
      import("../operations/index.js"),
    ]);
    return () =>
      over(async () => {
        const closed = new Promise((resolve) => socket.once("close", resolve));
        socket.once("end", () => socket.end());
        const call = async (name: string, input: unknown, context: CallContext): Promise<unknown> =>
          invoke(operationNamed(name), input, async () => ({ ...context, manager: await view.manager() }), {
            readOnly: config.readOnly,
          });
        serveControl(socket, { version, logger, invoke: call }, { actor: `cli/${hello.version}#${session}` });
        await closed;
      });
  }
  const { serveMcpSocket } = await import("../mcp/socket.js");
  return () =>
    over(() =>
      serveMcpSocket(socket, {
        version,
        logger,
        readOnly: config.readOnly,
        commands: config.commands,
        sessionId: session,
        getManager: view.manager,
        ...(config.rootsByDefault
          ? { useRoots: (uris: string[]) => useClientRoots(config, byDefault, uris, hello.env) }
          : {}),
      }),
    );
}

function viewOf({ hello, session }: IncomingConnection, config: Config, { manager, logger }: SessionHost) {
  let pending: Promise<StackManager> | undefined;
  let ending: (() => Promise<void>) | undefined;
  const make = async (): Promise<StackManager> => {
    // The user's commands reach every project of the user; an agent only projects in its roots.
    const scope = { settings: config, everyProject: hello.purpose === "control" };
    const view = (await manager()).within(scope);
    if (hello.stopOnExit !== true) return view;
    const owned = ownedStacks(view);
    ending = async () => {
      const projects = owned.projects();
      owned.close();
      const call: CallContext = {
        signal: new AbortController().signal,
        actor: `stackwarden (session ${session} ended)`,
        progress: () => undefined,
      };
      for (const project of projects)
        await view.stop({ project }, call).catch((error: Error) => {
          logger.warn(`${project} was not stopped with its client: ${error.message}`);
        });
    };
    return owned.manager;
  };
  return {
    manager: (): Promise<StackManager> => {
      pending ??= make().catch((error: unknown) => {
        pending = undefined;
        throw error;
      });
      return pending;
    },
    close: async (): Promise<void> => {
      await ending?.();
    },
  };
}
