/**
 * The projects of test/fixtures/projects, with the compose files that people write, started unedited on the local
 * runtime by one server. docs/LOCAL_RUNTIME.md has the table. STACKWARDEN_ORDINARY=all also starts the slow ones.
 */
import { execFile } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findIn } from "../../src/system/find-program.js";
import { type Answer, ROOT, type Server, TestBench, until } from "./support/bench.js";

interface OrdinaryProject {
  name: string;
  /** Programs that the machine must have. */
  programs?: string[];
  /** Needs npm's or PyPI's registry. */
  registry?: true;
  /** Takes more than half a minute on a busy machine. */
  slow?: true;
  /** Path and expected text of an answer, by service and container port. */
  answers?: [service: string, path: string, text: string][];
  /** Lines that a service prints. */
  prints?: [service: string, text: string];
}

const PROJECTS: OrdinaryProject[] = [
  {
    name: "nginx",
    programs: ["nginx", "python3"],
    answers: [
      ["proxy", "/", "front"],
      ["proxy", "/api/", '"ok": true'],
    ],
  },
  { name: "go", programs: ["go"], slow: true, answers: [["server", "/", '"ok":true']] },
  { name: "worker", programs: ["redis-server", "python3"], registry: true, prints: ["worker", "round 2"] },
  { name: "express-postgres", registry: true, answers: [["api", "/", '"database":"app"']] },
  { name: "vite", registry: true, slow: true, answers: [["web", "/", "/@vite/client"]] },
  { name: "pnpm-monorepo", registry: true, slow: true, answers: [["api", "/", '"greeting":"hello"']] },
  {
    name: "fastapi",
    programs: ["redis-server"],
    registry: true,
    slow: true,
    answers: [["app", "/health", '"ok":true']],
  },
  {
    name: "django-celery",
    programs: ["redis-server"],
    registry: true,
    slow: true,
    answers: [["web", "/", '"sum": 5']],
  },
  {
    name: "mysql",
    programs: ["mariadbd"],
    registry: true,
    slow: true,
    answers: [["app", "/", '"title":"write tests"']],
  },
  { name: "postgres-init", programs: ["psql"], registry: true, slow: true, prints: ["seed", "found: from a script"] },
];

const DIRS = [...(process.env.PATH ?? "").split(":"), "/usr/local/go/bin", "/usr/sbin"];
const registry = await promisify(execFile)("npm", ["view", "ms", "version", "--fetch-retries=0"], {
  timeout: 15_000,
}).then(
  () => true,
  () => false,
);

async function whyNot({ name, programs = [], registry: needsRegistry, slow }: OrdinaryProject): Promise<string | null> {
  const missing: string[] = [];
  for (const program of programs) if ((await findIn([program], DIRS)) === null) missing.push(program);
  if (missing.length > 0) return `${name} (${missing.join(", ")} not installed)`;
  if (needsRegistry === true && !registry) return `${name} (no package registry)`;
  return slow === true && process.env.STACKWARDEN_ORDINARY !== "all" ? `${name} (slow)` : null;
}

const reasons = new Map<string, string>();
for (const project of PROJECTS) {
  const reason = await whyNot(project);
  if (reason !== null) reasons.set(project.name, reason);
}
if (reasons.size > 0) process.stderr.write(`ordinary-projects.test.ts: skipped ${[...reasons.values()].join("; ")}\n`);

describe("an ordinary project starts unedited on the local runtime", () => {
  const bench = new TestBench();
  let server: Server;
  beforeAll(async () => {
    server = await bench.server();
  });
  afterAll(() => bench.close());

  for (const { name, answers = [], prints } of PROJECTS)
    it.skipIf(reasons.has(name))(name, async () => {
      const folder = join(bench.projects, name);
      cpSync(join(ROOT, "test/fixtures/projects", name), folder, { recursive: true });
      const started: Answer = await server.call("start_stack", {
        project: name,
        folder,
        ports: "auto",
        timeout_seconds: 300,
      });
      expect(["healthy", "running"]).toContain(started.status);
      for (const [service, path, text] of answers) {
        const { endpoints } = started.after.services[service];
        let body = "";
        await until(`${text} from ${service}`, async () => {
          body = await fetch(`http://127.0.0.1:${endpoints[0].host_port}${path}`).then(
            (response) => response.text(),
            (error: Error) => error.message,
          );
          return body.includes(text);
        }).catch((error: Error) => {
          throw new Error(`${error.message}; the last answer was: ${body}`);
        });
      }
      if (prints !== undefined) {
        const [service, text] = prints;
        const logs: Answer = await server.call("get_logs", { project: name, services: [service], wait_for: text });
        expect(JSON.stringify(logs)).toContain(text);
      }
      await server.call("stop_stack", { project: name });
    });
});
