import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { hiddenPathNotes } from "../../../../src/runtimes/local/providers/hidden-paths.js";
import { tempDir } from "../support/fixture.js";

const dir = tempDir();
afterAll(() => dir.remove());

const home = join(dir.path, "home");
mkdirSync(join(home, "shop"), { recursive: true });
for (const name of ["a", "b", "c", "d", "shop/file"]) writeFileSync(join(home, name), "");
const host = { hides: (path: string) => path.startsWith(`${home}/`) };
const notes = (env: Record<string, string>, words: string[] = ["node"]) =>
  hiddenPathNotes(host, {
    words,
    env,
    visible: [join(home, "shop")],
    mounts: [{ source: "/x", target: join(home, "d"), readOnly: true }],
  });

it("names files that a definition uses and its service does not see", async () => {
  expect(await notes({ A: join(home, "a"), SOCKET: `unix://${home}/b`, LIST: `/usr:${home}/c` })).toEqual([
    expect.stringContaining(`It does not see ${home}/a, ${home}/b, ${home}/c: home folders`),
  ]);
  expect((await notes({}, ["node", `--config=${home}/a`]))[0]).toContain(`${home}/a`);
});

it("is silent about what is seen, what does not exist, PATH and the program itself", async () => {
  const env = { PATH: join(home, "a"), OWN: join(home, "shop/file"), MOUNTED: join(home, "d"), NONE: join(home, "no") };
  expect(await notes(env, [join(home, "a"), "/etc/hosts"])).toEqual([]);
});
