import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SandboxTools } from "../../../../src/runtimes/local/process/sandbox.js";
import { Sandbox } from "../../../../src/runtimes/local/process/sandbox-host.js";
import { SERVICE_FOLDERS } from "../../../../src/runtimes/local/service-folders.js";
import { tempDir } from "../support/fixture.js";

const TOOLS: SandboxTools = { bwrap: "/usr/bin/bwrap", nsenter: "/usr/bin/nsenter", system: [], users: null };
const user = { uid: 200_001, gid: 200_001, name: "web", enforcement: { level: "none", reason: "" } } as const;

describe("Sandbox", () => {
  let dir: ReturnType<typeof tempDir>;
  let state: string;
  let project: string;
  beforeEach(() => {
    dir = tempDir();
    state = join(dir.path, "state");
    project = join(dir.path, "project");
    for (const folder of [state, project]) mkdirSync(folder);
  });
  afterEach(() => dir.remove());

  const own = async (sandbox: Sandbox, fields: Partial<Parameters<Sandbox["own"]>[0]> = {}) => {
    const spec = { argv: ["/bin/true"], env: {}, user, visible: [project], ...fields };
    const { namespaces } = await sandbox.own(spec);
    return namespaces?.kind === "own" ? namespaces : expect.fail("no namespaces");
  };

  it("without its programs it changes nothing, and says why", async () => {
    const sandbox = await Sandbox.create(state, { reason: "bubblewrap is not installed" });
    expect(sandbox.enforcement).toEqual({
      level: "none",
      reason: "Services have no separate namespaces: bubblewrap is not installed.",
    });
    expect(await sandbox.own({ argv: ["/bin/true"], env: {}, user, visible: [] })).toEqual({});
    expect(sandbox.joined({ init: process.pid, started: "1", pidNamespace: "x" })).toEqual({});
    expect(await sandbox.mountPlace("/cache", [])).toBeNull();
    expect(sandbox.hides(state, { visible: [], programs: [] })).toBe(false);
    expect(sandbox.users).toBeNull();
  });

  it("a path below a hidden folder is hidden unless a folder around it is shown", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const secret = join(state, "projects/shop/secrets.json");
    const view = { visible: [project], programs: [] };
    expect(sandbox.hides(secret, view)).toBe(true);
    expect(sandbox.hides(secret, { ...view, visible: [join(state, "projects/shop")] })).toBe(false);
    const mounts = [{ source: project, target: join(state, "projects"), readOnly: true }];
    expect(sandbox.hides(secret, { ...view, mounts })).toBe(false);
    expect(sandbox.hides(join(state, "cache/x"), view)).toBe(false);
    expect(sandbox.hides("/usr/bin/env", view)).toBe(false);
    expect(await sandbox.mountPlace(join(state, "absent/cache"), [])).toBe(join(state, "absent/cache"));
  });

  it("a service sees its user's name in account files that are those of the machine otherwise", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const { words } = await own(sandbox);
    const file = words[words.indexOf("/etc/passwd") - 1] ?? "";
    const passwd = readFileSync(file, "utf8");
    expect(passwd).toMatch(/^root:/m);
    expect(passwd).toMatch(
      /\nstackwarden-200001:x:200001:200001:stackwarden service:\/nonexistent:\/usr\/sbin\/nologin\n$/,
    );
    expect(readFileSync(words[words.indexOf("/etc/group") - 1] ?? "", "utf8")).toMatch(
      /\nstackwarden-200001:x:200001:\n$/,
    );
  });

  it("a start verifies every mount: its inode, or that it is an empty file system", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const mounts = [
      { source: join(dir.path, "gone"), target: "/srv/gone", readOnly: true },
      { tmpfs: true, target: "/srv/scratch", sizeBytes: 4096 } as const,
    ];
    writeFileSync(join(dir.path, "hosts"), "");
    const files = { [join(dir.path, "hosts")]: "/etc/hosts", [join(dir.path, "absent")]: "/etc/absent" };
    const { check, words } = await own(sandbox, { visible: [project, join(dir.path, "absent")], mounts, files });
    const pin = (target: string) => check.pins.find((one) => one.target === target);
    expect(pin(project)?.inode?.ino).toBeGreaterThan(0n);
    expect(pin("/srv/scratch")).toEqual({ target: "/srv/scratch", inode: null });
    expect(pin("/etc/hosts")).toMatchObject({ orMachines: true });
    // No file has this inode, so that the start is refused.
    expect(pin("/etc/absent")?.inode).toEqual({ dev: 0n, ino: 0n });
    expect(pin(join(dir.path, "absent"))).toBeUndefined();
    expect(check.targets).toEqual(expect.arrayContaining([project, "/srv/scratch", "/etc/hosts"]));
    expect(words.join(" ")).toContain("--size 4096 --perms 1777 --tmpfs /srv/scratch");
  });

  it("programs of PATH that the server chose are visible, also below hidden folders", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const bin = join(state, "tools/bin");
    mkdirSync(bin, { recursive: true });
    const { words } = await own(sandbox, { env: { PATH: `${bin}:relative` } });
    expect(words.join(" ")).toContain(`--ro-bind ${join(state, "tools")} ${join(state, "tools")}`);
    const named = await own(sandbox, { env: { PATH: bin }, programs: [] });
    expect(named.words).not.toContain(join(state, "tools"));
  });

  it("the services of a server that is not root see the folders that are for services, not the server's records", async () => {
    const sandbox = await Sandbox.create(state, { ...TOOLS, users: { outer: 20, inner: 21 } });
    const records = join(state, "projects/shop");
    for (const name of SERVICE_FOLDERS) mkdirSync(join(records, name), { recursive: true });
    const { words, check } = await own(sandbox, { visible: [project, records] });
    for (const name of SERVICE_FOLDERS) expect(words).toContain(join(records, name));
    expect(check.pins.map(({ target }) => target)).not.toContain(records);
    expect(sandbox.users).toEqual({ outer: 20, inner: 21 });
  });

  it("the repository of a linked work tree is visible read-only where it would be hidden", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const repository = join(state, "repository/.git");
    mkdirSync(join(repository, "worktrees/feature"), { recursive: true });
    writeFileSync(join(repository, "worktrees/feature/gitdir"), `${project}/.git\n`);
    writeFileSync(join(project, ".git"), `gitdir: ${repository}/worktrees/feature\n`);
    expect((await own(sandbox)).words.join(" ")).toContain(`--ro-bind ${repository} ${repository}`);
    expect(sandbox.hides(join(repository, "HEAD"), { visible: [project], programs: [] })).toBe(false);
    // It would cover a folder that is visible.
    const inside = join(repository, "inside");
    mkdirSync(inside);
    const covering = await own(sandbox, { visible: [project, inside] });
    expect(covering.words.join(" ")).not.toContain(`--ro-bind ${repository} ${repository}`);
  });

  it("a hidden folder in a visible one is verified to be empty", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const { check } = await own(sandbox, { visible: [dir.path] });
    expect(check.pins).toContainEqual({ target: state, inode: null });
  });

  it.runIf(existsSync("/proc/self/ns/pid"))("a command joins the namespaces of an instance", async () => {
    const sandbox = await Sandbox.create(state, TOOLS);
    const { namespaces } = sandbox.joined({ init: process.pid, started: "1", pidNamespace: "pid:[1]" });
    expect(namespaces).toMatchObject({ kind: "joined", pidNamespace: "pid:[1]", users: null });
    expect(namespaces?.words).toContain(`--target=${process.pid}`);
    expect(namespaces?.words).not.toContain("--net");
  });
});
