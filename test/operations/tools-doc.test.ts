import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("docs/TOOLS.md is what scripts/generate-tools-doc.mjs writes", async () => {
  const check = promisify(execFile)(process.execPath, ["scripts/generate-tools-doc.mjs", "--check"]);
  await expect(check).resolves.toMatchObject({ stderr: "" });
});
