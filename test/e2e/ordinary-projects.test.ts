/**
 * Starts the projects of test/fixtures/projects unedited on the local runtime. docs/LOCAL_RUNTIME.md has the table.
 * STACKWARDEN_ORDINARY=all includes the slow ones.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { findIn } from "../../src/system/find-program.js";
import { registryEnvironment } from "../support/per-run.mjs";
import { type Server, TestBench } from "./support/bench.js";
import { hasRegistry, type OrdinaryProject, PROJECTS, runProject } from "./support/ordinary.js";

/** The images of the docker runtime's tests have no corepack. */
const LOCAL: OrdinaryProject[] = [
  ...PROJECTS,
  { name: "yarn", registry: true, slow: true, answers: [["app", "/", "a minute is 1m"]] },
];

const DIRS = [...(process.env.PATH ?? "").split(":"), "/usr/local/go/bin", "/usr/sbin"];
const registry = await hasRegistry();

async function whyNot({ name, programs = [], registry: needsRegistry, slow }: OrdinaryProject): Promise<string | null> {
  const missing: string[] = [];
  for (const program of programs) if ((await findIn([program], DIRS)) === null) missing.push(program);
  if (missing.length > 0) return `${name} (${missing.join(", ")} not installed)`;
  if (needsRegistry === true && !registry) return `${name} (no package registry)`;
  return slow === true && process.env.STACKWARDEN_ORDINARY !== "all" ? `${name} (slow)` : null;
}

const reasons = new Map<string, string>();
for (const project of LOCAL) {
  const reason = await whyNot(project);
  if (reason !== null) reasons.set(project.name, reason);
}
if (reasons.size > 0) process.stderr.write(`ordinary-projects.test.ts: skipped ${[...reasons.values()].join("; ")}\n`);

describe("ordinary projects on the local runtime", () => {
  const bench = new TestBench();
  let server: Server;
  beforeAll(async () => {
    await bench.withPostgres();
    // Yarn 2 and later trust a proxy's certificate only through this variable.
    server = await bench.server(registryEnvironment());
  });
  afterAll(() => bench.close());

  for (const project of LOCAL)
    it.skipIf(reasons.has(project.name))(`${project.name} starts unedited on the local runtime`, () =>
      runProject(bench, server, project),
    );
});
