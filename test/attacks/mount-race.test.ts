/** A service exchanges folders of the project with links while another service starts. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import { findSandboxTools } from "../../src/runtimes/local/process/find-sandbox.js";
import { HostFixture } from "../runtimes/local/process/support.js";
import { exchanging } from "../support/exchange.js";
import { preloadLibrary } from "./support/preload.js";

const tools = await findSandboxTools("/usr/bin/setpriv");
const missing = "reason" in tools ? tools.reason : process.arch === "x64" ? null : "the attack's library is for x86-64";
/** Enough: before, an attack succeeded in nearly every second start. */
const TURNS = 20;
/** On a busy machine nearly every start is refused: the attack continues until one is not. */
const MOST_TURNS = 200;
/** In seconds. bubblewrap's reads of a path and its mounts are some hundred microseconds apart. */
const PAUSE = 0.0002;
/** User id of the project's owner, as which the folders are exchanged. */
const OWNER = 12_345;

describe.skipIf(missing !== null)(`mounts of a service${missing === null ? "" : `: skipped, ${missing}`}`, () => {
  let fixture: HostFixture;
  let home: string;
  let project: string;
  beforeEach(() => {
    fixture = new HostFixture();
    home = join(fixture.dir.path, "home");
    project = join(home, "project");
    mkdirSync(join(project, "inner"), { recursive: true });
    chmodSync(fixture.dir.path, 0o755);
    for (const path of [home, project, join(project, "inner")]) {
      chownSync(path, OWNER, OWNER);
      // Services can write there.
      chmodSync(path, 0o777);
    }
  });
  afterEach(() => fixture.close());

  /**
   * Runs the command many times while two paths are exchanged.
   * @returns the outputs, and the number of refused starts
   */
  async function raced(argv: string[], fields: Parameters<HostFixture["run"]>[1], first: string, second: string) {
    await fixture.host();
    const end = await exchanging(first, second, { user: OWNER, pause: PAUSE });
    const results = { outputs: [] as string[], refused: 0 };
    try {
      for (let turn = 0; turn < TURNS || (results.outputs.length === 0 && turn < MOST_TURNS); turn += 1) {
        try {
          results.outputs.push((await fixture.run(argv, fields)).output);
        } catch (error) {
          if (!(error instanceof StackwardenError)) throw error;
          results.refused += 1;
        }
      }
    } finally {
      // A busy machine wakes the attacker late, and makes the starts as much slower.
      expect(await end()).toBeGreaterThan(5 * TURNS);
    }
    return results;
  }

  // Before, the library ran as root in 26 of 59 starts.
  it("a start loads no library of the project as root while a mount point is exchanged with a link", async () => {
    const volume = join(fixture.stateDir, "volume");
    mkdirSync(volume, { recursive: true });
    chmodSync(fixture.stateDir, 0o711);
    const mark = join(project, "ran-as");
    writeFileSync(join(volume, "evil.so"), preloadLibrary(`id -u >> ${mark}`), { mode: 0o755 });
    writeFileSync(join(volume, "ld.so.preload"), "/etc/evil.so\n");
    const { uid, gid } = await (await fixture.host()).userFor("demo", "web");
    for (const path of ["", "evil.so", "ld.so.preload"]) chownSync(join(volume, path), uid, gid);
    const target = join(project, "inner");
    const link = join(project, "link");
    // Relative, so that bubblewrap finds it below the new root as well.
    symlinkSync(relative(project, "/etc"), link);
    const mounts = [{ source: volume, target, readOnly: false }];
    const { outputs, refused } = await raced(["/bin/true"], { visible: [project, volume], mounts }, target, link);
    expect(existsSync(mark) ? readFileSync(mark, "utf8") : "").not.toMatch(/^0$/m);
    expect(outputs.length).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });

  // Before, 25 of 38 starts showed the foreign folder.
  it("a start shows no hidden folder that is exchanged with the project's", async () => {
    const other = join(fixture.dir.path, "other");
    mkdirSync(other);
    writeFileSync(join(other, "note"), "foreign", { mode: 0o644 });
    writeFileSync(join(project, "note"), "own", { mode: 0o644 });
    const link = join(home, "link");
    symlinkSync(other, link);
    const { outputs } = await raced(["/bin/cat", join(project, "note")], { visible: [project] }, project, link);
    expect(outputs.filter((text) => text.includes("foreign"))).toEqual([]);
    expect(outputs.filter((text) => text === "own").length).toBeGreaterThan(0);
  });
});
