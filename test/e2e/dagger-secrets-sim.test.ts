/** Secrets on a simulated Dagger engine. */
import { join } from "node:path";
import { startSimEngine, whyNoContainers } from "../support/dagger-sim/engine.js";
import { secretsTravel } from "./support/secrets-travel.js";

secretsTravel("a simulated Dagger engine", whyNoContainers(), async () => {
  const sim = await startSimEngine();
  return {
    dagger: sim.cli,
    runc: join(sim.bin, "runc"),
    env: { _EXPERIMENTAL_DAGGER_RUNNER_HOST: sim.runnerHost },
    bundles: join(sim.folder, "containers"),
    store: sim.folder,
    log: null,
    keepsCache: false,
    close: () => sim.close(),
  };
});
