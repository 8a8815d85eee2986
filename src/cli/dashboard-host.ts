/** The dashboard of a background server without HTTP: its listener opens at the first `stackwarden dashboard`. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/types.js";
import type { DashboardHost } from "../daemon/daemon.js";
import { daemonPaths } from "../daemon/daemon-paths.js";
import type { DashboardServer } from "../http/dashboard-server.js";
import type { Logger } from "../logger.js";
import type { SharedStackManager, StackManager } from "../stack/model.js";
import { VERSION } from "../version.js";
import { DEFAULT_PORT } from "./commands/serve.js";

/** A private page that leads the user's browser to the dashboard with its token. */
export const redirectPage = (stateDir: string): string => join(daemonPaths(stateDir).folder, "dashboard.html");

export interface DashboardHostOptions {
  config: Config;
  logger: Logger;
  manager(): Promise<SharedStackManager>;
}

export function dashboardHost({ config, logger, manager }: DashboardHostOptions): DashboardHost {
  let server: DashboardServer | null = null;
  let opening: Promise<DashboardServer> | undefined;
  let view: StackManager | undefined;
  const getManager = async (): Promise<StackManager> => {
    // A token comes only from the user's own command, which reaches every project of the user.
    view ??= (await manager()).within({ settings: config, everyProject: true });
    return view;
  };
  const open = async (): Promise<DashboardServer> => {
    const { openDashboardServer } = await import("../http/dashboard-server.js");
    const { readOnly, commands } = config;
    const options = { getManager, port: DEFAULT_PORT, readOnly, commands, version: VERSION, logger };
    server = await openDashboardServer(options);
    logger.info("dashboard listens", { url: server.url });
    return server;
  };
  return {
    get url() {
      return server?.url ?? null;
    },
    get openRequests() {
      return server?.openRequests ?? 0;
    },
    link: async ({ flags, env, cwd }) => {
      const { loadConfig } = await import("../config/load.js");
      const { readOnly } = await loadConfig({ flags: { ...flags, stateDir: config.stateDir }, env, cwd });
      opening ??= open().catch((error: unknown) => {
        opening = undefined;
        throw error;
      });
      const { url, issueToken } = await opening;
      return { url, token: issueToken(readOnly ? "read" : "operate") };
    },
    close: async () => {
      await rm(redirectPage(config.stateDir), { force: true });
      await (await opening?.catch(() => undefined))?.close();
    },
  };
}
