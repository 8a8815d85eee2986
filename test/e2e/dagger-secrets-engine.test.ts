/** Secrets on a real Dagger engine, which `_EXPERIMENTAL_DAGGER_RUNNER_HOST` names. */
import { findCli } from "../../src/runtimes/dagger/engine/discovery.js";
import { findProgram } from "../../src/system/find-program.js";
import { engineEnvironment, whyNoEngine } from "../support/real-engine.js";
import { engineTraces } from "../support/secrets/engine-traces.js";
import { secretsTravel } from "./support/secrets-travel.js";

secretsTravel("a real Dagger engine", await whyNoEngine(), async () => {
  const cli = await findCli(process.env);
  if ("missing" in cli) throw new Error(cli.missing);
  const env = engineEnvironment();
  const traces = engineTraces(env._EXPERIMENTAL_DAGGER_RUNNER_HOST ?? "");
  return {
    dagger: cli.path,
    runc: (await findProgram("runc")) ?? "/nowhere/runc",
    env,
    bundles: traces?.bundles ?? null,
    store: traces?.store ?? null,
    log: traces?.log ?? null,
    keepsCache: true,
    close: async () => {},
  };
});
