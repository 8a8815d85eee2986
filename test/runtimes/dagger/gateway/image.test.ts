/** The gateway from an image that is pinned by its digest, on a real engine where the environment names one. */
import { afterAll, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import { openSession } from "../../../../src/runtimes/dagger/session/session.js";
import { whyNoEngine } from "../../../support/real-engine.js";
import { Bench, freePort, IMAGES, until, WEB_PORT } from "../../contract/bench.js";
import { SETTINGS } from "../support/parts.js";

const reason = await whyNoEngine();

describe.skipIf(reason !== null)(
  `the gateway's image by its digest, on a real engine${reason === null ? "" : `: skipped, ${reason}`}`,
  () => {
    const closing: (() => Promise<unknown>)[] = [];
    afterAll(async () => {
      for (const close of closing.reverse()) await close();
    });

    it("a gateway image that is pinned by digest publishes ports", async () => {
      const session = await openSession({
        cli: process.env._EXPERIMENTAL_DAGGER_CLI_BIN ?? "dagger",
        runnerHost: process.env._EXPERIMENTAL_DAGGER_RUNNER_HOST ?? null,
        workdir: process.cwd(),
        signal: new AbortController().signal,
        env: process.env,
        warn: () => {},
      });
      closing.push(() => session.close());
      const pinned = await session.client().container().from(SETTINGS.gatewayImage).imageRef();
      expect(pinned).toMatch(/node:20-alpine@sha256:[0-9a-f]{64}$/);
      const runtime = createDaggerRuntime({
        settings: { ...SETTINGS, gatewayImage: pinned.replace(":20-alpine", "") },
        env: process.env,
        warn: () => {},
      });
      closing.push(() => runtime.close());
      const bench = new Bench({
        runtime,
        images: IMAGES,
        processesVisible: false,
      });
      closing.push(() => bench.close());
      const hostPort = await freePort();
      await bench.run(bench.web("web", { ports: [{ containerPort: WEB_PORT, hostPort, protocol: "tcp" }] }));
      const answer = () => fetch(`http://127.0.0.1:${hostPort}/`).then((response) => response.text());
      await until("it answers", async () => (await answer().catch(() => "")) === "hello");
    });
  },
);
