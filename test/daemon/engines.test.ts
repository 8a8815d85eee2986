/** Each client configures its own engine, although one server runs the stacks of all clients. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestBench } from "../e2e/support/bench.js";
import { type SimEngine, startSimEngine, whyNoContainers } from "../support/dagger-sim/engine.js";
import { withStubPrograms } from "../support/program-dirs.js";
import { run } from "./support.js";

const why = whyNoContainers();

describe.skipIf(why !== null)(`two clients with different engines${why === null ? "" : `: skipped, ${why}`}`, () => {
  let bench: TestBench;
  let engine: SimEngine;
  let config: string;

  beforeAll(async () => {
    bench = new TestBench();
    engine = await startSimEngine();
    bench.project("shop", { "compose.yaml": "services:\n  app: { image: busybox, command: sleep 1000 }\n" });
    config = join(bench.folder, "engines.yaml");
    writeFileSync(
      config,
      `engines:\n  gone: unix://${bench.folder}/gone.sock\n  here: ${engine.runnerHost}\nengine: gone\n`,
    );
  });
  afterAll(async () => {
    await bench.close();
    await engine.close();
  });

  const client = (args: string[], env: Record<string, string> = {}) =>
    run(bench, [...args, "--config", config, "--runtime", "dagger", "--folder", join(bench.projects, "shop")], {
      ...withStubPrograms(engine.bin),
      DAGGER_SIM_ENGINE: engine.folder,
      ...env,
    });

  it("each client starts its own engine, whichever client started the server", async () => {
    const first = await client(["up", "-d"]);
    expect(first.code).toBe(4);
    expect(first.stderr).toContain("engines.gone in the configuration");
    const second = await client(["up", "-d"], { STACKWARDEN_ENGINE: "here" });
    expect(second.stderr).not.toContain("gone.sock");
    expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/app\s+running/) });
    expect((await client(["down"])).code).toBe(0);
  });
});
