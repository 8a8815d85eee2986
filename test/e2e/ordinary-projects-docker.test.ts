/**
 * Starts the projects of test/fixtures/projects unedited on the docker runtime, with stand-ins for their images. Only
 * with STACKWARDEN_ORDINARY=all: images and packages take minutes.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { startDaemon, type TestDaemon, whyNoDaemon } from "../support/docker/daemon.mjs";
import { makeOrdinaryImages } from "../support/docker/ordinary-images.mjs";
import { type Server, TestBench } from "./support/bench.js";
import { hasRegistry, PROJECTS, runProject } from "./support/ordinary.js";

const asked = process.env.STACKWARDEN_ORDINARY === "all";
const why = asked ? (whyNoDaemon() ?? ((await hasRegistry()) ? null : "no package registry")) : "STACKWARDEN_ORDINARY";
if (asked && why !== null) process.stderr.write(`ordinary-projects-docker.test.ts: skipped, ${why}\n`);

describe.skipIf(why !== null)("ordinary projects on the docker runtime", () => {
  const bench = new TestBench();
  let daemon: TestDaemon;
  let server: Server;
  beforeAll(async () => {
    daemon = await startDaemon({ images: false, bridge: true });
    await makeOrdinaryImages(daemon.socket);
    server = await bench.server({ STACKWARDEN_RUNTIME: "docker", STACKWARDEN_DOCKER_HOST: daemon.host });
  }, 900_000);
  afterAll(async () => {
    await bench.close();
    await daemon?.close();
  });

  for (const project of PROJECTS)
    it(`${project.name} starts unedited on the docker runtime`, { timeout: 600_000 }, () =>
      // As for an ordinary user: services that mount the folder run as its owner.
      runProject(bench, server, project, 1000),
    );
});
