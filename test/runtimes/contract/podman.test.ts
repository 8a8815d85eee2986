/**
 * The contract suite for the docker runtime on a separate Podman service, as far as Podman 4 fulfils it;
 * docs/DOCKER_RUNTIME.md names the differences.
 */
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { startPodman, whyNoPodman } from "../../support/docker/podman.js";
import { IMAGES } from "./bench.js";
import { runtimeContract } from "./contract.js";
import { dataTests } from "./data.js";
import { endTests } from "./ends.js";
import { environmentTests } from "./environment.js";
import { probeTests } from "./probes.js";
import { publishTests } from "./publish.js";
import { stackTests } from "./stack.js";

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
      close: async () => {
        await runtime.close();
        await podman.close();
      },
    };
  },
  whyNoPodman(),
  [endTests, probeTests, environmentTests, publishTests, dataTests, stackTests],
);
