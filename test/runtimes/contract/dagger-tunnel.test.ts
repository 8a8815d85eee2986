/**
 * What the contract says of published ports, kept also where Dagger's own tunnel publishes them: on the simulated engine,
 * and on a real one where `_EXPERIMENTAL_DAGGER_RUNNER_HOST` names one (it pulls python:3.11-slim and node:20-alpine).
 */
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { startSimEngine, whyNoContainers } from "../../support/dagger-sim/engine.js";
import { whyNoEngine } from "../../support/real-engine.js";
import { IMAGES, SETTINGS } from "../dagger/support/parts.js";
import type { ContractTarget } from "./bench.js";
import { runtimeContract } from "./contract.js";
import { publishSentences } from "./publish.js";

const through = (env: NodeJS.ProcessEnv, processesVisible: boolean): ContractTarget => {
  const runtime = createDaggerRuntime({
    settings: { ...SETTINGS, tunnel: true },
    env,
    warn: () => {},
  });
  return {
    runtime,
    images: IMAGES,
    keepsSplitCharacters: false,
    host: "0.0.0.0",
    processesVisible,
    close: () => runtime.close(),
  };
};

runtimeContract(
  "Dagger's own tunnel on a simulated engine",
  async () => {
    const engine = await startSimEngine();
    const target = through(engine.env, true);
    const close = async () => {
      await target.close();
      await engine.close();
    };
    return { ...target, close };
  },
  whyNoContainers(),
  [publishSentences],
);

runtimeContract("Dagger's own tunnel on a real engine", async () => through(process.env, false), await whyNoEngine(), [
  publishSentences,
]);
