/** Ignore patterns of a repository that would block the server's only thread in regular expressions. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { buildContext } from "../../src/runtimes/docker/image/context.js";
import { ignoredSources, watchIgnores } from "../../src/stack/definition/source-ignore.js";
import { boundedPatterns } from "../../src/system/ignore-patterns.js";

/** Before, the first pattern took 2.3 s for one file, and the second more than a minute. */
const HOSTILE = ["*a*a*a*ab", "*a*a*a*a*ab", "**/a/**/a/**/a/**/*a*b", "(a+)+b", "a+a+a+a+a+b", `${"a".repeat(2000)}*`];
const NAME = "a".repeat(200);
const SOON_MS = 5000;

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-attack-")));
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\n");
  writeFileSync(join(folder, NAME), "");
});
afterEach(() => rmSync(folder, { recursive: true }));

const build = async (): Promise<number> => {
  const { archive } = await buildContext({ context: folder, dockerfile: "Dockerfile", folder, exclude: [] });
  let bytes = 0;
  for await (const chunk of archive) bytes += (chunk as Buffer).length;
  return bytes;
};

it.each([...HOSTILE, "[z-a]"])(
  "a build refuses the pattern %j, and a comparison of sources skips it",
  async (pattern) => {
    for (const name of [".dockerignore", ".gitignore"]) writeFileSync(join(folder, name), `${pattern}\n*.log\n`);
    const begun = Date.now();
    await expect(build()).rejects.toMatchObject({ code: "INVALID_STACK" });
    const ignores = ignoredSources({ path: folder, buildContext: true }, folder);
    expect(ignores(NAME, false)).toBe(false);
    expect(watchIgnores({ ignore: [pattern, "*.md"], include: [] })("x.md", false)).toBe(true);
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
  },
);

it("ordinary patterns remain in effect", async () => {
  const text = "# a comment\n**/node_modules\n**/*.test.*\ndocs/**/*.md\n!docs/README.md\n*.tar.gz\n.git\n(copy)\n";
  expect(boundedPatterns(text).costly).toEqual([]);
  writeFileSync(join(folder, ".dockerignore"), text);
  writeFileSync(join(folder, "x.test.ts"), "x".repeat(5000));
  expect(await build()).toBeLessThan(5000);
});
