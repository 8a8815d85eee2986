import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { ProjectStore } from "../../../src/stack/storage/project-store.js";
import { atomicWrite } from "../../../src/system/atomic-write.js";

let top: string;
let root: string;
let stateDir: string;
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-projects-")));
  root = join(top, "Work");
  stateDir = join(top, "state");
  mkdirSync(join(root, "shop"), { recursive: true });
  mkdirSync(join(top, "outside"));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));
const store = (projects: Record<string, { folder: string; suggested?: true }> = {}) =>
  new ProjectStore({ stateDir, roots: [root], projects });

describe("ProjectStore.resolveFolder", () => {
  it("a project's folder is the root or folder of its name, the configured one, or the given one", () => {
    expect(store().resolveFolder("work")).toBe(root);
    expect(store().resolveFolder("shop")).toBe(join(root, "shop"));
    expect(store({ elsewhere: { folder: join(root, "shop") } }).resolveFolder("elsewhere")).toBe(join(root, "shop"));
    expect(store().resolveFolder("any", "shop")).toBe(join(root, "shop"));
    expect(store().resolveFolder("any", join(root, "shop"))).toBe(join(root, "shop"));
  });

  it("a folder outside the roots is allowed only when the operator configures it", () => {
    expect(store({ out: { folder: join(top, "outside") } }).resolveFolder("out")).toBe(join(top, "outside"));
    const refused = expect.objectContaining({
      hint: expect.stringMatching(
        `Allowed roots: ${root}. To use both, open ${top} in the client, or start stackwarden there`,
      ),
    });
    expect(() => store().resolveFolder("x", join(top, "outside"))).toThrow(refused);
    for (const folder of ["../outside", join(top, "outside"), "/", ".."])
      expect(() => store().resolveFolder("x", folder)).toThrow(expect.objectContaining({ code: "FOLDER_NOT_ALLOWED" }));
  });

  it("a folder of the server's own state directory is refused", () => {
    const own = join(root, "state");
    mkdirSync(join(own, "projects", "shop"), { recursive: true });
    const inside = new ProjectStore({ stateDir: own, roots: [root], projects: {} });
    for (const folder of ["state", "state/projects/shop"])
      expect(() => inside.resolveFolder("x", folder)).toThrow(
        expect.objectContaining({ code: "FOLDER_NOT_ALLOWED", message: expect.stringContaining("state directory") }),
      );
    expect(inside.resolveFolder("x", "shop")).toBe(join(root, "shop"));
  });

  it("a symbolic link that leads out of the roots is refused", () => {
    symlinkSync(join(top, "outside"), join(root, "link"));
    expect(() => store().resolveFolder("link")).toThrow(expect.objectContaining({ code: "FOLDER_NOT_ALLOWED" }));
  });

  it("a folder that does not exist, or is a file, is refused", () => {
    expect(() => store().resolveFolder("x", "absent")).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
    writeFileSync(join(root, "file"), "");
    expect(() => store().resolveFolder("x", "file")).toThrow(/not an existing folder/);
    expect(() => store({ known: { folder: join(top, "gone") } }).resolveFolder("nobody")).toThrow(
      expect.objectContaining({ code: "UNKNOWN_PROJECT", hint: expect.stringContaining("Known projects: known") }),
    );
    expect(() => store({ known: { folder: join(top, "gone") } }).resolveFolder("knowns")).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/^Did you mean known\? .*to check_stack or start_stack/) }),
    );
  });

  it.each(["", "../x", "--rm", "A", "__proto__", "constructor\0"])("%j is refused as a project id", (id) => {
    expect(() => store().resolveFolder(id)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
  });

  it("the key of an object's prototype is not a configured project", () => {
    expect(() => store().resolveFolder("constructor")).toThrow(expect.objectContaining({ code: "UNKNOWN_PROJECT" }));
  });

  it("the error for an unknown project does not name projects outside the client's roots", async () => {
    const elsewhere = join(top, "elsewhere", "private");
    mkdirSync(elsewhere, { recursive: true });
    await store().prepare("hidden", elsewhere);
    await store().prepare("app", join(root, "shop"));
    expect(() => store().resolveFolder("nobody")).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ known: ["app"] }),
        hint: expect.not.stringContaining("hidden"),
      }),
    );
  });

  it("a project keeps its first folder, and another folder is a conflict even while the first is missing", async () => {
    const first = join(root, "shop");
    await store().prepare("app", first);
    expect(store().resolveFolder("app")).toBe(first);
    expect(store().projectIds()).toEqual(["app"]);
    mkdirSync(join(root, "other"));
    expect(() => store().resolveFolder("app", "other")).toThrow(/belongs to .*shop, not to .*other/);
    rmSync(first, { recursive: true });
    // A folder that is renamed or not mounted keeps its secrets, volumes and logs.
    expect(() => store().resolveFolder("app", "other")).toThrow(/belongs to .*shop \(which does not exist now\)/);
    // The operator can name the new folder; a file of the working directory cannot.
    expect(store({ app: { folder: join(root, "other") } }).resolveFolder("app")).toBe(join(root, "other"));
    const suggested = { app: { folder: join(root, "other"), suggested: true as const } };
    expect(() => store(suggested).resolveFolder("app", "other")).toThrow(/belongs to/);
  });

  it("an error does not name the project's folder to a client whose roots do not contain it", async () => {
    await store().prepare("app", join(root, "shop"));
    mkdirSync(join(root, "narrow/app"), { recursive: true });
    const narrow = new ProjectStore({ stateDir, roots: [join(root, "narrow")], projects: {} });
    for (const away of [false, true]) {
      if (away) rmSync(join(root, "shop"), { recursive: true });
      let error: StackwardenError | undefined;
      try {
        narrow.resolveFolder("app");
      } catch (thrown) {
        error = thrown as StackwardenError;
      }
      expect(error).toMatchObject({ code: away ? "PROJECT_CONFLICT" : "FOLDER_NOT_ALLOWED" });
      expect(JSON.stringify([error?.message, error?.hint, error?.details])).not.toContain("shop");
    }
  });

  it("without roots, every folder is refused, and the hint says that home folders are not a default", () => {
    const none = new ProjectStore({ stateDir, roots: [], projects: {} });
    for (const folder of [undefined, "shop", join(root, "shop")])
      expect(() => none.resolveFolder("shop", folder)).toThrow(
        expect.objectContaining({ hint: expect.stringContaining("home folders are none by default") }),
      );
  });
});

describe("ProjectStore: state directory", () => {
  it("the state directory has mode 0711 and keeps limits for the next start", async () => {
    const path = await store().prepare("app", root);
    for (const part of [stateDir, join(stateDir, "projects"), path]) expect(statSync(part).mode & 0o777).toBe(0o711);
    await store().keepLimits("app", "db", { cpus: 1 }, { cpus: 2 });
    await store().keepLimits("app", "db", { memory_mb: 64 });
    await store().keepLimits("app", "web", { pids: 5, cpus: 1 });
    await store().keepLimits("app", "web", { cpus: null });
    expect({ ...(await store().limits("app")) }).toEqual({
      db: { cpus: 1, memory_mb: 64, written: { cpus: 2, memory_mb: null } },
      web: { pids: 5, written: { pids: null } },
    });
    writeFileSync(join(path, "limits.json"), "torn{");
    expect({ ...(await store().limits("app")) }).toEqual({});
    expect(readdirSync(path).sort()).toEqual(["limits.json", "project.json"]);
  });

  it("a state directory that cannot be created or written fails with STORAGE_FAILED", async () => {
    writeFileSync(stateDir, "a file");
    await expect(store().prepare("app", root)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(store().lock("app")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(atomicWrite(join(stateDir, "x"), "")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(store().projectIds()).toEqual([]);
  });

  it("prepare keeps the mode that the operator gave the state directory", async () => {
    mkdirSync(stateDir);
    chmodSync(stateDir, 0o755);
    await store().prepare("app", root);
    expect(statSync(stateDir).mode & 0o777).toBe(0o755);
  });
});

describe("ProjectStore.lock", () => {
  it("a project's lock has one holder, and can be taken again after its release", async () => {
    const path = await store().prepare("app", root);
    const release = await store().lock("app");
    await expect(store().lock("app")).rejects.toMatchObject({ code: "PROJECT_LOCKED", details: { pid: process.pid } });
    await release();
    await release();
    expect(existsSync(join(path, "lock"))).toBe(false);
    await (await store().lock("app"))();
    expect(readdirSync(path)).toEqual(["project.json"]);
  });

  it("a lock of a dead process, a reused process id or damaged content is taken over", async () => {
    const path = await store().prepare("app", root);
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    const stale = [{ pid: child.pid, started: "1" }, "torn", {}, { pid: -1 }];
    if (process.platform === "linux") stale.push({ pid: process.pid, started: "1" });
    for (const holder of stale) {
      writeFileSync(join(path, "lock"), typeof holder === "string" ? holder : JSON.stringify(holder));
      await (await store().lock("app"))();
    }
    expect(readdirSync(path)).toEqual(["project.json"]);
  });

  it("lock removes only the temporary files that a dead process left", async () => {
    const path = await store().prepare("app", root);
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    const kept = [`limits.json.${process.pid}.0a1b2c3d`, `notes.${child.pid}`, `x.${child.pid}.0a1b2c3d.json`];
    for (const name of [...kept, `limits.json.${child.pid}.0a1b2c3d`, `lock.${child.pid}.00000000`])
      writeFileSync(join(path, name), "half");
    await (await store().lock("app"))();
    expect(readdirSync(path).sort()).toEqual([...kept, "project.json"].sort());
  });

  it("release does not remove a lock that another holder has replaced", async () => {
    const path = await store().prepare("app", root);
    const release = await store().lock("app");
    writeFileSync(join(path, "lock"), "someone else's");
    await release();
    expect(existsSync(join(path, "lock"))).toBe(true);
  });
});
