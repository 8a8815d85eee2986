/** The contract suite for the local runtime with its real process layer. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalRuntime } from "../../../src/runtimes/local/local-runtime.js";
import { createProcessHost } from "../../../src/runtimes/local/process-host.js";
import { ensureWatchdog, thisMachine } from "../local/process/support.js";
import { type ContractTarget, IMAGES } from "./bench.js";
import { commandTests } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";
import { snapshotTests } from "./snapshots.js";

const machine = await thisMachine();

async function setup(namespaces: boolean): Promise<ContractTarget> {
  ensureWatchdog();
  const stateDir = mkdtempSync(join(tmpdir(), "stackwarden-contract-state-"));
  chmodSync(stateDir, 0o755);
  const warn = (): void => {};
  const runtime = createLocalRuntime({
    stateDir,
    warn,
    processHost: () => createProcessHost({ stateDir, warn, namespaces }, namespaces ? machine : undefined),
  });
  return {
    runtime,
    images: IMAGES,
    close: async () => {
      await runtime.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

const unavailable = "reason" in machine.sandbox ? machine.sandbox.reason : null;

runtimeContract("the local runtime without namespaces", () => setup(false), null, [
  ...ALL,
  commandTests,
  snapshotTests,
]);
runtimeContract("the local runtime with namespaces", () => setup(true), unavailable, [
  ...ALL,
  commandTests,
  snapshotTests,
]);
