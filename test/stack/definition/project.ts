/** Loads projects that tests write. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { loadStack } from "../../../src/stack/definition/load.js";
import type { StackDefinition } from "../../../src/stack/definition/types.js";

/** @param files names and texts of a project's files */
export function load(files: Record<string, string>): Promise<StackDefinition> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-definition-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return loadStack({
    projectId: "definition",
    folder,
    profiles: [],
    allowRoot: [],
    generateSecret: async () => "generated-secret",
  });
}

/** The first problem of a project that is refused. */
export async function problem(loading: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await loading.then(
    () => ({ details: { problems: [{ message: "it was loaded" }] } }),
    (thrown: StackwardenError) => thrown,
  );
  const [first] = (error.details as { problems: [Record<string, unknown>] }).problems;
  return first;
}
