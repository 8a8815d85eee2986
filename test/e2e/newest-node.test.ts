/** The demo on the newest Node.js: server, clients and scripts. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { runDemo } from "./support/demo.js";
import { newestNode, NEWEST_LTS as VERSION } from "./support/newer-node.js";

const run = promisify(execFile);

it(`stackwarden works on Node.js ${VERSION}`, { timeout: 400_000 }, async () => {
  const binary = await newestNode();
  expect((await run(binary, ["--version"])).stdout.trim()).toBe(`v${VERSION}`);
  await runDemo(binary, (stdout) => expect(stdout).toContain("The demonstration ended as it should."));
});
