import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  findIn,
  findProgram,
  lookUpProgram,
  refusedPrograms,
  systemDirs,
  withTrustedPath,
} from "../../src/system/find-program.js";

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "stackwarden-programs-"));
  chmodSync(base, 0o755);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const make = (path: string, mode = 0o755): string => {
  const full = join(base, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, "#!/bin/sh\n");
  chmodSync(full, mode);
  return full;
};
const at = (path: string): string => join(base, path);
/** `dirs` replace the system's directories; `path` becomes PATH. */
const env = (dirs: string[], path: string[] = []): NodeJS.ProcessEnv => ({
  STACKWARDEN_PROGRAM_DIRS: dirs.map(at).join(":"),
  PATH: path.map((one) => (one.startsWith("+") ? one.slice(1) : at(one))).join(":"),
});
const asRoot = process.getuid?.() === 0;

describe("findProgram", () => {
  it("a program in the system's directories precedes one on PATH", async () => {
    const [fixed, other] = [make("sys/tool"), make("mine/tool")];
    expect(await findProgram("tool", { env: env(["sys"], ["mine"]) })).toBe(fixed);
    expect(await findProgram("tool", { env: env(["empty"], ["mine", "sys"]) })).toBe(other);
    expect(await findProgram("sh")).toMatch(/\/bin\/sh$/);
    expect(systemDirs({}, "linux")[0]).toBe("/usr/local/sbin");
    expect(systemDirs({}, "darwin")).toContain("/opt/homebrew/bin");
  });

  it("the order of the names precedes the order of the directories", async () => {
    const [one, two] = [make("a/one"), make("b/two")];
    expect(await findProgram(["two", "one"], { env: env(["a"], ["b"]) })).toBe(two);
    expect(await findProgram(["one", "two"], { env: env(["a"], ["b"]) })).toBe(one);
  });

  it("only an executable file with a plain name in an absolute directory is found", async () => {
    make("c/plain", 0o644);
    mkdirSync(at("c/folder"));
    symlinkSync("nowhere", at("c/broken"));
    symlinkSync("loop", at("c/loop"));
    make("c/real");
    for (const name of ["plain", "folder", "broken", "loop", "", ".", "..", "../c/real", "absent"])
      expect(await findProgram(name, { env: env(["empty"], ["c"]) }), name).toBeNull();
    expect(await findProgram("real", { env: env(["empty"], ["+", "+.", "+c", "+relative"]) })).toBeNull();
    expect(await findProgram("real", { env: { STACKWARDEN_PROGRAM_DIRS: at("empty") } })).toBeNull();
  });

  it("a program below a folder of projects is refused, also when a link leads there", async () => {
    const path = make("project/node_modules/.bin/tool");
    mkdirSync(at("linkdir"));
    symlinkSync(path, at("linkdir/tool"));
    const search = { env: env(["empty"], ["project/node_modules/.bin", "linkdir"]), excluded: [at("project")] };
    const lookup = await lookUpProgram("tool", search);
    expect(lookup).toEqual({
      path: null,
      refused: [
        { path, reason: "below a folder that holds projects" },
        { path: at("linkdir/tool"), reason: "leads below a folder that holds projects" },
      ],
    });
    expect(refusedPrograms(lookup)).toBe(
      ` Not used: ${path} (below a folder that holds projects), ${at("linkdir/tool")} (leads below a folder that holds projects).`,
    );
    expect(refusedPrograms({ path: null, refused: [] })).toBe("");
  });

  it.each([
    ["the directory", "w1/bin", "w1/bin", 0o777],
    ["a parent of the directory", "w2/x/bin", "w2", 0o777],
    ["the file", "w3/bin", "w3/bin/tool", 0o757],
    ["a sticky directory itself", "w4/bin", "w4/bin", 0o1777],
  ])("a program is refused when every user can write %s", async (_what, dir, writable, mode) => {
    make(`${dir}/tool`);
    chmodSync(at(writable), mode);
    const lookup = await lookUpProgram("tool", { env: env(["empty"], [dir]) });
    expect(lookup.path).toBeNull();
    expect(lookup.refused[0]?.reason).toBe(`every user can write ${at(writable)}`);
  });

  it.skipIf(!asRoot).each([
    ["the directory", "o1/bin", "o1/bin"],
    ["a parent of the directory", "o2/x/bin", "o2"],
    ["the file", "o3/bin", "o3/bin/tool"],
  ])("root refuses a program when %s belongs to another user", async (_what, dir, owned) => {
    make(`${dir}/tool`);
    chownSync(at(owned), 1234, 1234);
    const lookup = await lookUpProgram("tool", { env: env(["empty"], [dir]), uid: 0 });
    expect(lookup).toMatchObject({ path: null, refused: [{ reason: `${at(owned)} belongs to user 1234` }] });
    const own = await findProgram("tool", { env: env(["empty"], [dir]), uid: 1234, gid: 1234 });
    expect(own).toBe(at(`${dir}/tool`));
  });

  it.skipIf(!asRoot)("root refuses a program when another group can write its directory", async () => {
    make("g/bin/tool");
    chownSync(at("g/bin"), 0, 1234);
    chmodSync(at("g/bin"), 0o775);
    expect((await lookUpProgram("tool", { env: env(["empty"], ["g/bin"]), uid: 0, gid: 0 })).refused[0]?.reason).toBe(
      `group 1234 can write ${at("g/bin")}`,
    );
    // The system's directories are trusted.
    expect(await findProgram("tool", { env: env(["g/bin"]), uid: 0, gid: 0 })).toBe(at("g/bin/tool"));
  });

  it.skipIf(!asRoot)("root refuses a program behind a link of another user in a sticky directory", async () => {
    make("target/tool");
    mkdirSync(at("sticky"));
    chmodSync(at("sticky"), 0o1777);
    mkdirSync(at("sticky/links"));
    symlinkSync(at("target"), at("sticky/link"));
    expect(await findProgram("tool", { env: env(["empty"], ["sticky/link"]) })).toBe(at("sticky/link/tool"));
    rmSync(at("sticky/link"));
    const { lchownSync } = await import("node:fs");
    symlinkSync(at("target"), at("sticky/link"));
    lchownSync(at("sticky/link"), 1234, 1234);
    expect((await lookUpProgram("tool", { env: env(["empty"], ["sticky/link"]), uid: 0 })).refused[0]?.reason).toBe(
      `the link ${at("sticky/link")} belongs to user 1234`,
    );
  });

  it("withTrustedPath removes directories from PATH that findProgram refuses", async () => {
    make("good/tool");
    make("bad/tool");
    chmodSync(at("bad"), 0o777);
    const search = env(["sys"], ["bad", "good", "+relative"]);
    expect(await withTrustedPath({ ...search, KEPT: "1" })).toEqual({
      ...search,
      KEPT: "1",
      PATH: `${at("sys")}:${at("good")}`,
    });
  });
});

describe("findIn", () => {
  it("findIn searches only the given absolute directories", async () => {
    const path = make("service/tool");
    expect(await findIn(["absent", "tool"], ["relative", at("service")])).toBe(path);
    expect(await findIn(["tool"], [])).toBeNull();
  });
});
