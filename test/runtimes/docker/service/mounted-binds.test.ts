/** Binds of a started container, compared with their sources. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { redirectedBind } from "../../../../src/runtimes/docker/service/mounted-binds.js";

const CONTAINER = "c0ffee";
const PID = 42;

describe("redirectedBind", () => {
  let folder: string;
  let data: string;
  let file: string;
  let proc: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stackwarden-binds-"));
    [data, file, proc] = [join(folder, "my data"), join(folder, "file"), join(folder, "proc")];
    for (const path of [data, join(folder, "foreign"), join(proc, String(PID))]) mkdirSync(path, { recursive: true });
    writeFileSync(file, "");
    writeFileSync(join(proc, String(PID), "cgroup"), `1:memory:/docker/${CONTAINER}\n`);
    // Links simulate the mounts: a path in the container has the identity of the mounted file or folder.
    mkdirSync(join(proc, String(PID), "root", "srv"), { recursive: true });
    mount("/srv/my\\040data", data);
    mount("/srv/file", file);
  });
  afterEach(() => {
    lines.splice(0);
    rmSync(folder, { recursive: true, force: true });
  });

  const lines: string[] = [];
  function mount(point: string, source: string): void {
    const path = join(proc, String(PID), "root", point.replace("\\040", " "));
    rmSync(path, { force: true });
    symlinkSync(source, path);
    lines.push(`36 35 8:1 / ${point} rw,relatime - ext4 /dev/sda rw`);
    writeFileSync(join(proc, String(PID), "mountinfo"), `${lines.join("\n")}\n`);
  }
  const binds = () => [
    { source: data, target: "/srv/my data/" },
    { source: file, target: "/srv/file" },
  ];
  const check = () => redirectedBind(PID, CONTAINER, binds(), proc);

  it("redirectedBind returns undefined when every bind shows its source", async () => {
    expect(await check()).toBeUndefined();
  });

  it("redirectedBind accepts a target behind a link of the image only when its source is mounted", async () => {
    const there = { source: data, target: "/var/data" };
    expect(await redirectedBind(PID, CONTAINER, [there], proc)).toBeUndefined();
    const elsewhere = { source: join(folder, "foreign"), target: "/var/data" };
    expect(await redirectedBind(PID, CONTAINER, [elsewhere], proc)).toEqual(elsewhere);
  });

  it("redirectedBind returns a bind whose container shows another folder or file", async () => {
    mount("/srv/file", join(folder, "foreign"));
    expect(await check()).toMatchObject({ source: file });
  });

  it("redirectedBind returns a bind whose source was removed or replaced by a link", async () => {
    renameSync(data, join(folder, "moved"));
    expect(await check()).toMatchObject({ source: data });
    symlinkSync(join(folder, "moved"), data);
    expect(await check()).toMatchObject({ source: data });
  });

  it("redirectedBind returns undefined for an ended container and for mounts that cannot be read", async () => {
    mount("/srv/file", join(folder, "foreign"));
    expect(await redirectedBind(PID, "another", binds(), proc)).toBeUndefined();
    expect(await redirectedBind(0, CONTAINER, binds(), proc)).toBeUndefined();
    rmSync(join(proc, String(PID), "mountinfo"));
    expect(await check()).toBeUndefined();
  });

  it("redirectedBind returns undefined for a container that ends while its mounts are read", async () => {
    const pipe = join(proc, String(PID), "mountinfo");
    rmSync(pipe);
    execFileSync("mkfifo", [pipe]);
    const checking = check();
    // The check reads it after the container's root is seen.
    const writer = await open(pipe, "w");
    rmSync(join(proc, String(PID), "root"), { recursive: true });
    await writer.writeFile(`${lines.join("\n")}\n`);
    await writer.close();
    expect(await checking).toBeUndefined();
  });

  it("redirectedBind returns undefined for what this user may not see, as of a container with another user", async () => {
    mount("/srv/file", join(folder, "foreign"));
    const path = join(proc, String(PID), "root", "srv", "file");
    // A link to itself cannot be followed by root either.
    rmSync(path);
    symlinkSync(path, path);
    expect(await check()).toBeUndefined();
    const behindLink = { source: join(folder, "foreign"), target: "/var/data" };
    expect(await redirectedBind(PID, CONTAINER, [behindLink], proc)).toBeUndefined();
    const root = join(proc, String(PID), "root");
    rmSync(root, { recursive: true });
    symlinkSync(root, root);
    expect(await check()).toBeUndefined();
  });
});
