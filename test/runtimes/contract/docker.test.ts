/** The contract suite for the docker runtime on a separate Docker daemon. */
import { afterAll } from "vitest";
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { startDaemon, type TestDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { openRelay } from "../../support/docker/relay.js";
import { IMAGES } from "./bench.js";
import { commandProcessTests, commandTests } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";
import { environmentTests } from "./environment.js";
import { snapshotTests } from "./snapshots.js";

/** One daemon for both suites. */
let running: Promise<TestDaemon> | undefined;
const daemonOf = (): Promise<TestDaemon> => {
  running ??= startDaemon({ shortFilter: true, firewall: false });
  return running;
};
afterAll(async () => (await running)?.close());

runtimeContract(
  "the docker runtime on a Docker daemon",
  async () => {
    const daemon = await daemonOf();
    const runtime = createDockerRuntime({
      settings: { host: daemon.host, retry: { maxRetries: 0, baseDelayMs: 10 } },
      env: process.env,
      warn: () => {},
    });
    return {
      runtime,
      images: IMAGES,
      withoutNetwork: true,
      kill: async () => {
        await daemon.end("SIGKILL");
        await daemon.start();
      },
      close: () => runtime.close(),
    };
  },
  whyNoDaemon(),
  [...ALL, commandTests, snapshotTests],
);

/** An engine whose files, processes and networks are not accessible, so that only its API is used. */
runtimeContract(
  "the docker runtime on an engine that is reached over the network",
  async () => {
    const daemon = await daemonOf();
    const relay = await openRelay(null, daemon.socket);
    const runtime = createDockerRuntime({
      settings: { host: `tcp://${relay.path}`, retry: { maxRetries: 0, baseDelayMs: 10 } },
      env: process.env,
      warn: () => {},
    });
    return {
      runtime,
      images: IMAGES,
      withoutNetwork: true,
      close: async () => {
        await runtime.close();
        await relay.close();
      },
    };
  },
  whyNoDaemon(),
  [environmentTests, commandProcessTests],
);
