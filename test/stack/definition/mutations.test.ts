/**
 * Damaged compose files, read in a worker with a deadline and a memory limit. None exceeds the limits or crashes the
 * reader, and one error lists the problems of all files.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { createWorkerLoader, type WorkerLoader } from "../../../src/stack/definition/load-worker.js";
import { PROJECTS } from "../../reference/projects.js";

const RUNS = 200;
/** Half of the default deadline, and the default memory limit. */
const LIMITS = { deadlineMs: 1000, memoryMb: 200 };
const PIECES = [
  "",
  " ",
  "\n",
  "\t",
  ":",
  "- ",
  "{",
  "]",
  "'",
  '"',
  "&a ",
  "*a",
  "!reset ",
  "<<: *a",
  "${",
  "}",
  "$",
  "~",
  "\u0000",
  "é",
  "9".repeat(400),
];

describe("damaged compose files", () => {
  let root: string;
  let loader: WorkerLoader;
  beforeAll(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-mutations-")));
    loader = createWorkerLoader(LIMITS);
  });
  afterAll(async () => {
    await loader.close();
    rmSync(root, { recursive: true, force: true });
  });

  let projects = 0;
  function write(files: Record<string, string>): string {
    projects += 1;
    const folder = join(root, `p${projects}`);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return folder;
  }
  const load = (folder: string) =>
    loader
      .loadStack({ projectId: "p", folder, profiles: [], allowRoot: [], generateSecret: async () => "generated" })
      .then(
        () => null,
        (error: unknown) => error,
      );

  it("a damaged file loads or is refused, and each problem has a file, a message and a hint", async () => {
    const mutation = fc.record({
      project: fc.constantFrom(...PROJECTS.filter(({ use }) => use === undefined)),
      file: fc.nat(),
      edits: fc.array(
        fc.record({ at: fc.nat(), remove: fc.integer({ min: 0, max: 40 }), piece: fc.constantFrom(...PIECES) }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
    });
    const outcomes = { loaded: 0, refused: 0 };
    for (const { project, file, edits } of fc.sample(mutation, { numRuns: RUNS, seed: 26 })) {
      const files = { ...project.files };
      const names = Object.keys(files);
      const name = names[file % names.length] as string;
      let text = files[name] as string;
      for (const { at, remove, piece } of edits) {
        const from = at % (text.length + 1);
        text = text.slice(0, from) + piece + text.slice(from + remove);
      }
      files[name] = text;
      const error = await load(write(files));
      if (error === null) {
        outcomes.loaded += 1;
        continue;
      }
      outcomes.refused += 1;
      expect(error, text).toBeInstanceOf(StackwardenError);
      const { code, message, details } = error as StackwardenError;
      expect(["INVALID_STACK", "POLICY_VIOLATION"], `${message}\n${text}`).toContain(code);
      expect(message).not.toMatch(/needs more than|takes longer/);
      for (const problem of (details?.problems as { file: string; path: string; message: string; hint: string }[]) ??
        []) {
        expect(problem.file).toContain(root);
        expect(problem.message).not.toBe("");
        expect(problem.hint).not.toBe("");
      }
    }
    expect(outcomes.loaded).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  });

  it("one error lists the problems of all files with their lines", async () => {
    const folder = write({
      "compose.yaml":
        "include: [sub/compose.yaml, gone.yaml]\nservices:\n  a: { image: a, ports: ['x:y'], tty: maybe }\n  b: { extends: { file: base.yaml, service: nothing } }\n",
      "compose.override.yaml": "services:\n  a: { privileged: true, volumes: ['/etc:/etc'] }\n",
      "sub/compose.yaml":
        "services:\n  c:\n    image: c\n    env_file: missing.env\n    healthcheck: { interval: never }\n",
      "base.yaml": "services: { other: { image: o } }\n",
    });
    const error = (await load(folder)) as StackwardenError;
    expect(error.code).toBe("POLICY_VIOLATION");
    const { problems } = error.details as {
      problems: { file: string; line: number | null; path: string; code: string }[];
    };
    const places = problems.map(
      ({ file, line, path, code }) => `${code} ${file.slice(folder.length + 1)}:${line} ${path}`,
    );
    expect(places.sort()).toEqual([
      "INVALID_STACK compose.yaml:1 include[1]",
      "INVALID_STACK compose.yaml:3 services.a.ports[0]",
      "INVALID_STACK compose.yaml:3 services.a.tty",
      "INVALID_STACK compose.yaml:4 services.b.extends",
      "INVALID_STACK sub/compose.yaml:4 services.c.env_file",
      "INVALID_STACK sub/compose.yaml:5 services.c.healthcheck.interval",
      "POLICY_VIOLATION compose.override.yaml:2 services.a.privileged",
      "POLICY_VIOLATION compose.override.yaml:2 services.a.volumes[0]",
    ]);
  });
});
