/**
 * The contract suite for the Dagger runtime on the engine that `_EXPERIMENTAL_DAGGER_RUNNER_HOST` names. It pulls
 * python:3.11-slim, redis:7-alpine and node:20-alpine.
 */
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { whyNoEngine } from "../../support/real-engine.js";
import { SETTINGS } from "../dagger/support/parts.js";
import { IMAGES } from "./bench.js";
import { commandTests } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";
import { daggerVolumeTests } from "./dagger-volumes.js";
import { snapshotTests } from "./snapshots.js";

runtimeContract(
  "the Dagger runtime on a real engine",
  async () => {
    const runtime = createDaggerRuntime({
      settings: SETTINGS,
      env: process.env,
      warn: () => {},
    });
    return {
      runtime,
      images: IMAGES,
      processesVisible: false,
      endsBareProcesses: false,
      terminals: false,
      close: () => runtime.close(),
    };
  },
  await whyNoEngine(),
  [...ALL, commandTests, snapshotTests, daggerVolumeTests(() => process.env)],
);
