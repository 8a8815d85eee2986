/**
 * The contract, kept by the docker runtime on a Podman service of the test's own, as far as Podman 4 keeps it:
 * docs/DOCKER_RUNTIME.md names the rest.
 */
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { startPodman, whyNoPodman } from "../../support/docker/podman.js";
import { runtimeContract } from "./contract.js";
import { dataSentences } from "./data.js";
import { endSentences } from "./ends.js";
import { environmentSentences } from "./environment.js";
import { probeSentences } from "./probes.js";
import { publishSentences } from "./publish.js";
import { stackSentences } from "./stack.js";

const IMAGES = { python: "python:3.11-slim", redis: "redis:7-alpine" };

runtimeContract(
  "the docker runtime on Podman",
  async () => {
    const podman = await startPodman(Object.values(IMAGES));
    const runtime = createDockerRuntime({
      settings: { host: podman.host, retry: { maxRetries: 0, baseDelayMs: 10 } },
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
        await podman.close();
      },
    };
  },
  whyNoPodman(),
  [endSentences, probeSentences, environmentSentences, publishSentences, dataSentences, stackSentences],
);
