/** The contract suite for the Dagger runtime on the simulated engine, with gateway, entry script and engine host. */
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { runningSessions, type SimEngine, startSimEngine, whyNoContainers } from "../../support/dagger-sim/engine.js";
import { SETTINGS } from "../dagger/support/parts.js";
import { IMAGES } from "./bench.js";
import { commandTests } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";
import { daggerVolumeTests } from "./dagger-volumes.js";
import { snapshotTests } from "./snapshots.js";

let engine: SimEngine;

runtimeContract(
  "the Dagger runtime on a simulated engine",
  async () => {
    engine = await startSimEngine();
    const runtime = createDaggerRuntime({
      settings: SETTINGS,
      env: engine.env,
      warn: () => {},
    });
    return {
      runtime,
      images: IMAGES,
      endsBareProcesses: false,
      terminals: false,
      kill: async () => {
        for (const pid of runningSessions(engine.folder)) process.kill(pid, "SIGKILL");
      },
      close: async () => {
        await runtime.close();
        await engine.close();
      },
    };
  },
  whyNoContainers(),
  [...ALL, commandTests, snapshotTests, daggerVolumeTests(() => engine.env)],
);
