import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hiddenPathNotes } from "../../../../src/runtimes/local/providers/hidden-paths.js";
import { HostFixture } from "../process/support.js";

const fixture = new HostFixture();
afterAll(() => fixture.close());
const host = await fixture.host();
const isEnforced = host.sandboxEnforcement().level === "enforced";
if (!isEnforced) process.stderr.write("hidden-paths.test.ts: skipped, services have no namespaces here\n");
const user = await host.userFor("demo", "web");

/** A hidden folder. */
const home = fixture.stateDir;
const file = (path: string, mode = 0o644): string => {
  const full = join(home, path);
  mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
  writeFileSync(full, "", { mode });
  return full;
};
for (const name of ["a", "b", "c", "d", "shop/run/file", "cache/file", "node/bin/node", "node/lib/file"]) file(name);

const notes = (env: Record<string, string>, words: string[] = ["node"]) =>
  hiddenPathNotes(host, {
    words,
    env,
    user,
    view: {
      visible: [join(home, "shop")],
      programs: [join(home, "node/bin/node")],
      mounts: [{ source: "/x", target: join(home, "d"), readOnly: true }],
    },
  });

describe.skipIf(!isEnforced)("hiddenPathNotes", () => {
  it("names files that a definition uses and its service does not see", async () => {
    expect(await notes({ A: join(home, "a"), SOCKET: `unix://${home}/b`, LIST: `/usr:${home}/c` })).toEqual([
      expect.stringContaining(`does not see ${home}/a, ${home}/b, ${home}/c: its namespaces hide those folders.`),
    ]);
    expect((await notes({}, ["node", `--config=${home}/a`]))[0]).toContain(
      `${home}/a: its namespaces hide that folder`,
    );
  });

  it("is silent about what is seen, what does not exist, PATH and the program itself", async () => {
    const env = {
      PATH: join(home, "a"),
      OWN: join(home, "shop/run/file"),
      MOUNTED: join(home, "d"),
      TOOL: join(home, "node/lib/file"),
      CACHE: join(home, "cache/file"),
      NONE: join(home, "no"),
    };
    expect(await notes(env, [join(home, "a"), "/etc/hosts"])).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("does not disclose a file that the service's user could not read", async () => {
    expect(await notes({ KEY: file("key", 0o600) })).toEqual([]);
  });
});
