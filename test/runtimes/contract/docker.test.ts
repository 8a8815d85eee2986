/** The contract, kept by the docker runtime on a Docker daemon of the test's own. */
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { startDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { commandSentences } from "./commands.js";
import { ALL, runtimeContract } from "./contract.js";

const IMAGES = { python: "python:3.11-slim", redis: "redis:7-alpine" };

runtimeContract(
  "the docker runtime on a Docker daemon",
  async () => {
    const daemon = await startDaemon({ images: Object.values(IMAGES) });
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
      close: async () => {
        await runtime.close();
        await daemon.close();
      },
    };
  },
  whyNoDaemon(),
  [...ALL, commandSentences],
);
