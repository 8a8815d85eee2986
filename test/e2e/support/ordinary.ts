/** The projects of test/fixtures/projects, and the answers that show that they work. */
import { execFile } from "node:child_process";
import { chownSync, cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { registryEnvironment } from "../../support/per-run.mjs";
import { type Answer, ROOT, type Server, type TestBench, until } from "./bench.js";

export interface OrdinaryProject {
  name: string;
  /** Required programs of the machine. */
  programs?: string[];
  /** Requires npm's or PyPI's registry. */
  registry?: true;
  /** Takes more than half a minute on a loaded machine. */
  slow?: true;
  /** Path and expected text of an answer, by service and container port. */
  answers?: [service: string, path: string, text: string][];
  /** Lines that a service prints. */
  prints?: [service: string, text: string];
}

export const PROJECTS: OrdinaryProject[] = [
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

/** Whether a package registry can be reached. */
export const hasRegistry = (): Promise<boolean> =>
  promisify(execFile)("npm", ["view", "ms", "version", "--fetch-retries=0"], {
    timeout: 15_000,
    env: { ...process.env, ...registryEnvironment() },
  }).then(
    () => true,
    () => false,
  );

/**
 * Starts a copy of the project unedited, asks for its answers, and stops it.
 * @param owner user id of the project's folder; default: the test's own
 */
export async function runProject(bench: TestBench, server: Server, project: OrdinaryProject, owner?: number) {
  const { name, answers = [], prints } = project;
  const folder = join(bench.projects, name);
  cpSync(join(ROOT, "test/fixtures/projects", name), folder, { recursive: true });
  if (owner !== undefined)
    for (const path of ["", ...readdirSync(folder, { recursive: true, encoding: "utf8" })])
      chownSync(join(folder, path), owner, owner);
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
}
