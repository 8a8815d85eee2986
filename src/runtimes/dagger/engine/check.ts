/** Checks within a second, and without side effects, which engine is available and which limits it can enforce. */

import type { Enforcement, RuntimeStatus } from "../../../stack/runtime.js";
import { SharedWork } from "../../../system/shared-work.js";
import { withinOrNull } from "../../../system/wait.js";
import type { EngineHost, EngineHostOptions } from "../engine-host/types.js";
import type { DaggerSettings } from "../settings.js";
import { cliFinding, engineFinding } from "./discovery.js";
import { engineOf } from "./engines.js";

/** Time limit for the check of the engine's host, so that the whole check stays below a second. */
const HOST_MS = 800;

export interface CheckOptions {
  settings: DaggerSettings;
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  /** Checks the project's engine instead of the default one. */
  project?: string;
  /** Folder for a downloaded CLI. Absent: none is downloaded. */
  programs?: string;
  openEngineHost(options: EngineHostOptions): Promise<EngineHost>;
  /** Shares queries with other checks of the same environment that run at the same time. */
  shared?: SharedWork;
}

/** Checks whether the engine's host is reachable and can enforce limits. */
async function hostEnforcement(options: CheckOptions, runnerHost: string | null): Promise<Enforcement> {
  const { env, openEngineHost } = options;
  const late = new AbortController();
  const opening = openEngineHost({ runnerHost, env, warn: () => undefined, signal: late.signal }).then(
    async (host) => {
      const { enforcement } = host;
      await host.close().catch(() => undefined);
      return enforcement;
    },
    (error: unknown): Enforcement => ({ level: "none", reason: (error as Error).message }),
  );
  const hostCheck = await withinOrNull(opening, HOST_MS);
  if (hostCheck !== null) return hostCheck;
  late.abort();
  return {
    level: "none",
    reason: `the engine's host did not answer within ${HOST_MS} ms; the first start of a stack shows what it enforces`,
  };
}

const unusable: Enforcement = { level: "none", reason: "no engine can be used here" };

/** Network isolation between stacks, and from other machines on the network. */
const network = (tunnel: boolean): Enforcement => ({
  level: tunnel ? "none" : "advisory",
  reason: `Service names are separate for each stack, and published ports listen on ${
    tunnel
      ? "every address of this machine, open to the network, by Dagger's own tunnel (dagger_tunnel)"
      : "127.0.0.1 only"
  }; services of other stacks on the same engine can still be reached by address. Configure one engine per project to separate them.`,
});

/** Capabilities of a machine on which stacks can be started. */
const openPorts: RuntimeStatus["findings"][number] = {
  check: "published ports",
  ok: false,
  message:
    "dagger_tunnel is on: every published port listens on every address of this machine and is open to the network.",
  fix: "Set dagger_tunnel to false in the server's configuration to publish on 127.0.0.1 only.",
};

/** Never throws. */
export async function checkEngines(options: CheckOptions): Promise<RuntimeStatus> {
  const { settings, env, project, programs, shared = new SharedWork() } = options;
  const status = (available: boolean, findings: RuntimeStatus["findings"], limits: Enforcement): RuntimeStatus => ({
    runtime: "dagger",
    available,
    findings,
    isolation: {
      limits,
      users: available
        ? {
            level: "enforced",
            reason: "Every service runs as a non-root user without capabilities, seen from inside at each start.",
          }
        : unusable,
      network: available ? network(settings.tunnel === true) : unusable,
      filesystem: available
        ? {
            level: "enforced",
            reason: "Every service has its own root file system; the project's folder is a copy.",
          }
        : unusable,
    },
  });
  let engine: ReturnType<typeof engineOf>;
  try {
    engine = engineOf(settings, env, project);
  } catch (error) {
    return status(false, [{ check: "dagger engine", ok: false, message: (error as Error).message }], unusable);
  }
  // Without a project (doctor) every engine of the configuration is checked.
  const others =
    project === undefined ? Object.entries(settings.engines).filter(([, host]) => host !== engine.runnerHost) : [];
  const download = programs === undefined ? undefined : { programs, source: settings.cliSource ?? null };
  const { runnerHost, source } = engine;
  const [cli, engineResult, limits, more] = await Promise.all([
    shared.run(JSON.stringify(["cli", download]), () => cliFinding(env, undefined, download)),
    shared.run(JSON.stringify(["engine", runnerHost, source]), () => engineFinding(engine, env)),
    shared.run(JSON.stringify(["host", runnerHost]), () => hostEnforcement(options, runnerHost)),
    Promise.all(
      others.map(([name, runnerHost]) =>
        engineFinding({ runnerHost, source: `engines.${name} in the configuration` }, env),
      ),
    ),
  ]);
  const available = cli.finding.ok && engineResult.ok;
  const ports = available && settings.tunnel ? [openPorts] : [];
  const findings = [cli.finding, engineResult, ...more, ...ports];
  const { absent } = cli;
  return {
    ...status(available, findings, available ? limits : unusable),
    ...(available && absent === true ? { downloads: cli.finding.message } : {}),
  };
}
