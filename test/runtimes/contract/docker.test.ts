/** The contract, kept by the docker runtime on a Docker daemon of the test's own. */
import { afterAll } from "vitest";
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { startDaemon, type TestDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { openRelay } from "../../support/docker/relay.js";
import { commandSentences } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";
import { environmentSentences } from "./environment.js";
import { snapshotSentences } from "./snapshots.js";

const IMAGES = { python: "python:3.11-slim", redis: "redis:7-alpine" };

/** One daemon for both suites. */
let running: Promise<TestDaemon> | undefined;
const daemonOf = (): Promise<TestDaemon> => {
  running ??= startDaemon({ images: Object.values(IMAGES) });
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
      keepsSplitCharacters: true,
      processesVisible: true,
      kill: async () => {
        await daemon.end("SIGKILL");
        await daemon.start();
      },
      close: () => runtime.close(),
    };
  },
  whyNoDaemon(),
  [...ALL, commandSentences, snapshotSentences],
);

/** What reaches a container by the engine alone: no file, process or network of its machine is used. */
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
      keepsSplitCharacters: true,
      processesVisible: true,
      close: async () => {
        await runtime.close();
        await relay.close();
      },
    };
  },
  whyNoDaemon(),
  [environmentSentences, commandSentences],
);
