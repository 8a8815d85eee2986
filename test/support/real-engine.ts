/** A real Dagger engine for tests, if the environment names one that responds. No test starts one. */
import { cliFinding, engineFinding } from "../../src/runtimes/dagger/engine/discovery.js";
import { CLI_VARIABLE, RUNNER_VARIABLE } from "../../src/runtimes/dagger/engine/engines.js";

/** Timeout of each query in ms; a loaded machine responds late. */
const DEADLINE_MS = 10_000;

/** Why tests on a real engine cannot run here, in one line. Null if they can. */
export async function whyNoEngine(env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const runnerHost = env[RUNNER_VARIABLE];
  if (runnerHost === undefined || runnerHost === "") return `${RUNNER_VARIABLE} names no Dagger engine`;
  const cli = await cliFinding(env, DEADLINE_MS);
  if (!cli.finding.ok) return cli.finding.message;
  const engine = await engineFinding({ runnerHost, source: RUNNER_VARIABLE }, env, DEADLINE_MS);
  return engine.ok ? null : engine.message;
}

/** Environment with which a server finds the engine. */
export function engineEnvironment(): Record<string, string> {
  const names = [RUNNER_VARIABLE, CLI_VARIABLE, "HOME", "DO_NOT_TRACK"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
