/** Compares stackwarden's model of a project with that of compose-go, Docker Compose's library, field by field. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { StackwardenError } from "../../src/errors.js";
import { loadStack } from "../../src/stack/definition/load.js";
import { resolvedModel } from "../../src/stack/definition/resolved-model.js";
import type { StackDefinition } from "../../src/stack/definition/types.js";
import { modelDifferences } from "../support/compose-model.js";
import { askReference, buildReference, type ReferenceAnswer } from "../support/compose-reference.js";
import { processorClock } from "../support/processor-time.js";
import { PROJECTS, type ReferenceProject } from "./projects.js";

const built = buildReference();
if ("reason" in built) console.warn(`The comparison with compose-go is skipped: ${built.reason}.`);

let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-reference-")));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let made = 0;
/** Writes a project. @returns its folder */
function write({ files }: Pick<ReferenceProject, "files">): string {
  made += 1;
  const folder = join(root, `p${made}`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const load = (folder: string, { use, profiles = [] }: Pick<ReferenceProject, "use" | "profiles">) =>
  loadStack({
    projectId: "reference",
    folder,
    profiles,
    ...(use === undefined ? {} : { files: use }),
    allowRoot: [],
    generateSecret: async () => "generated-secret",
  }).catch((error: unknown) => error as Error);

const request = (folder: string, { use, profiles = [] }: Pick<ReferenceProject, "use" | "profiles">) => ({
  folder,
  profiles,
  ...(use === undefined ? {} : { files: use.map((file) => join(folder, file)) }),
});

/** Differences between the two models. None if both refuse the project, or if only policy refuses it. */
function compare(ours: StackDefinition | Error, theirs: ReferenceAnswer): string[] {
  if (ours instanceof Error)
    return theirs.project === undefined || (ours instanceof StackwardenError && ours.code === "POLICY_VIOLATION")
      ? []
      : [`only stackwarden refuses it: ${ours.message}`];
  return theirs.project === undefined
    ? [`only compose-go refuses it: ${theirs.error}`]
    : modelDifferences(ours, theirs.project);
}

const NAMED = PROJECTS.map(({ name }, at) => [name, at] as const);

describe.skipIf("reason" in built)("comparison with compose-go", () => {
  const program = "program" in built ? built.program : "";
  /** In the order of PROJECTS; the program is started once for all, which takes longer than reading a project. */
  let ours: (StackDefinition | Error)[];
  let theirs: ReferenceAnswer[];
  let printed: ReferenceAnswer[];

  beforeAll(async () => {
    const folders = PROJECTS.map(write);
    ours = await Promise.all(PROJECTS.map((project, at) => load(folders[at] as string, project)));
    theirs = askReference(
      program,
      PROJECTS.map((project, at) => request(folders[at] as string, project)),
    );
    printed = askReference(
      program,
      ours.map((model) => {
        const text = model instanceof Error ? "" : stringify(resolvedModel(model));
        return { folder: write({ files: { "compose.yaml": text } }), profiles: ["*"] };
      }),
    );
  });

  it.each(NAMED)("a project with %s has the same model as in compose-go", (_name, at) => {
    expect(theirs[at]?.error).toBeUndefined();
    expect(compare(ours[at] as StackDefinition, theirs[at] as ReferenceAnswer)).toEqual([]);
  });

  it.each(NAMED)("the model that config prints for a project with %s is the same in compose-go", (_name, at) => {
    expect(ours[at]).not.toBeInstanceOf(Error);
    expect(compare(ours[at] as StackDefinition, printed[at] as ReferenceAnswer)).toEqual([]);
  });

  /** Replaces one scalar of a project's text, which leaves almost every form that the project covers. */
  const mutation = fc.record({
    project: fc.constantFrom(...PROJECTS.filter(({ use }) => use === undefined)),
    at: fc.nat(),
    text: fc.constantFrom(
      "",
      "x",
      "0",
      "-1",
      "true",
      "null",
      "1.5",
      "$A",
      "${A:-b}",
      "a b",
      "[]",
      "{}",
      '"80:80"',
      "1m",
      "~",
    ),
  });
  const WORD = /(?<=[\s[{,:]\s?)[A-Za-z0-9./-]+(?=[\s,\]}])/g;

  it("a project with a replaced value has the same model as in compose-go, or one of the two refuses it", async () => {
    const cases = fc.sample(mutation, { numRuns: 150, seed: 13 }).map(({ project, at, text }) => {
      const source = project.files["compose.yaml"] ?? "services: {}";
      const words = [...source.matchAll(WORD)];
      const word = words[at % words.length];
      const changed =
        word === undefined ? source : source.slice(0, word.index) + text + source.slice(word.index + word[0].length);
      const folder = write({ files: { ...project.files, "compose.yaml": changed } });
      return { project, folder, changed };
    });
    const answers = askReference(
      program,
      cases.map(({ folder, project }) => request(folder, project)),
    );
    const faults: string[] = [];
    for (const [at, { project, folder, changed }] of cases.entries()) {
      const elapsed = processorClock();
      const ours = await load(folder, project);
      expect(elapsed()).toBeLessThan(1000);
      const theirs = answers[at] as ReferenceAnswer;
      // Only one of the two may refuse a value; two different meanings are a fault.
      if (ours instanceof Error) expect(ours).toBeInstanceOf(StackwardenError);
      else if (theirs.project !== undefined)
        for (const line of modelDifferences(ours, theirs.project)) faults.push(`${line}\n${changed}`);
    }
    expect(faults).toEqual([]);
  });
});
