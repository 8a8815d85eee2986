/**
 * The contract's tests of published ports for Dagger's own tunnel, on the simulated engine and on a real one where
 * `_EXPERIMENTAL_DAGGER_RUNNER_HOST` names one (it pulls python:3.11-slim and node:20-alpine).
 */
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { startSimEngine, whyNoContainers } from "../../support/dagger-sim/engine.js";
import { whyNoEngine } from "../../support/real-engine.js";
import { SETTINGS } from "../dagger/support/parts.js";
import { type ContractTarget, IMAGES } from "./bench.js";
import { runtimeContract } from "./contract.js";
import { publishTests } from "./publish.js";

const through = (env: NodeJS.ProcessEnv): ContractTarget & { close(): Promise<void> } => {
  const runtime = createDaggerRuntime({
    settings: { ...SETTINGS, tunnel: true },
    env,
    warn: () => {},
  });
  return {
    runtime,
    images: IMAGES,
    host: "0.0.0.0",
    close: () => runtime.close(),
  };
};

runtimeContract(
  "Dagger's own tunnel on a simulated engine",
  async () => {
    const engine = await startSimEngine();
    const target = through(engine.env);
    const close = async () => {
      await target.close();
      await engine.close();
    };
    return { ...target, close };
  },
  whyNoContainers(),
  [publishTests],
);

runtimeContract(
  "Dagger's own tunnel on a real engine",
  async () => ({ ...through(process.env), processesVisible: false }),
  await whyNoEngine(),
  [publishTests],
);
