/** What is uploaded to an engine, and what is left out. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeStaged, withStaging } from "../../../../src/runtimes/dagger/container/staging.js";
import {
  buildExcludes,
  ignorePatterns,
  uploadBind,
  uploadFiles,
  uploadFolder,
} from "../../../../src/runtimes/dagger/container/uploads.js";
import { copyFiles } from "../../../../src/runtimes/dagger/service/copy-files.js";
import type { ExecRequest } from "../../../../src/stack/runtime.js";
import { isBeneath } from "../../../../src/system/is-beneath.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("uploads to an engine", () => {
  it("ignorePatterns reads a .dockerignore file as Docker does", () => {
    const text = "# comment\n\n/dist/\n./tmp\n  *.log  \n!keep.log\n! /back\n.\n/\n**/cache\r\n";
    expect(ignorePatterns(text)).toEqual(["dist", "tmp", "*.log", "!keep.log", "!back", "**/cache"]);
  });

  it("buildExcludes omits history, packages and ignored files, and keeps the Dockerfile", async () => {
    expect(await buildExcludes(folder, folder, "Dockerfile")).toEqual([
      "**/.git",
      "**/node_modules",
      "**/.venv",
      "**/venv",
      "**/__pycache__",
      "!Dockerfile",
    ]);
    writeFileSync(join(folder, ".dockerignore"), "*\n!src\n");
    expect((await buildExcludes(folder, folder, "Dockerfile")).slice(-3)).toEqual(["*", "!src", "!Dockerfile"]);
    writeFileSync(join(folder, "prod.Dockerfile.dockerignore"), "docs");
    expect((await buildExcludes(folder, folder, "prod.Dockerfile")).slice(-2)).toEqual(["docs", "!prod.Dockerfile"]);
    mkdirSync(join(folder, "odd.dockerignore"));
    expect((await buildExcludes(folder, folder, "odd")).slice(-3)).toEqual(["*", "!src", "!odd"]);
    // An ignore file that cannot be read must not be skipped: the files that it names would be uploaded.
    symlinkSync("prod.Dockerfile.dockerignore", join(folder, "linked.dockerignore"));
    expect((await buildExcludes(folder, folder, "linked")).slice(-2)).toEqual(["docs", "!linked"]);
    symlinkSync("/etc/hostname", join(folder, "away.dockerignore"));
    writeFileSync(join(folder, "large.dockerignore"), "secret\n".repeat(50_000));
    for (const refused of ["away", "large"])
      await expect(buildExcludes(folder, folder, refused)).rejects.toMatchObject({ code: "INVALID_STACK" });
  });

  it("uploads are taken from the project without .env, the state directory and links that lead outside", async () => {
    const asked: unknown[] = [];
    const client = {
      host: () => ({
        directory: (path: string, options: object) => asked.push(["directory", path, options]),
        file: (path: string, options: object) => asked.push(["file", path, options]),
      }),
    };
    const staging = { copy: () => Promise.reject(new Error("Only a server that runs as root uploads copies.")) };
    const options = {
      client: client as never,
      folder,
      stateDir: join(folder, "state"),
      definition: {},
      staging,
      isRoot: false,
    };
    mkdirSync(join(folder, "app"));
    writeFileSync(join(folder, "app", "one.txt"), "");
    await uploadFolder(options, folder);
    expect(asked[0]).toMatchObject(["directory", folder, { noCache: true }]);
    expect((asked[0] as [string, string, { exclude: string[] }])[2].exclude).toEqual(
      expect.arrayContaining(["**/.git", "**/node_modules", ".env", "state"]),
    );
    expect(await uploadBind(options, join(folder, "app"))).toMatchObject({ kind: "folder" });
    expect((asked[1] as [string, string, { exclude: string[] }])[2].exclude).not.toContain(".env");
    expect(await uploadBind(options, join(folder, "app", "one.txt"))).toMatchObject({ kind: "file" });
    expect(asked[2]).toEqual(["file", join(folder, "app", "one.txt"), { noCache: true }]);

    // Excluded files do not count towards the limits.
    writeFileSync(join(folder, "app", "disk.img"), "");
    truncateSync(join(folder, "app", "disk.img"), 9 * 1024 ** 3);
    await expect(uploadBind(options, join(folder, "app"))).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: "app has more than 8 GiB of files.",
    });
    await uploadFolder(options, folder, ["**/*.img"]);
    expect(asked).toHaveLength(4);
    asked.pop();

    const outside = mkdtempSync(join(tmpdir(), "stackwarden-outside-"));
    writeFileSync(join(outside, "secret"), "");
    rmSync(join(folder, "app"), { recursive: true });
    symlinkSync(outside, join(folder, "app"));
    for (const path of ["app", "app/secret", "app/one.txt", "nowhere"])
      await expect(uploadBind(options, join(folder, path)), path).rejects.toMatchObject({ code: "INVALID_STACK" });
    await expect(uploadFolder(options, join(folder, "app"))).rejects.toMatchObject({ code: "INVALID_STACK" });
    await expect(uploadFolder(options, join(folder, "nowhere"))).rejects.toMatchObject({ code: "INVALID_STACK" });
    rmSync(outside, { recursive: true });
    expect(asked).toHaveLength(3);
    expect(isBeneath("/a", "/ab")).toBe(false);
    expect(isBeneath("/a", "/a/..b")).toBe(true);
  });

  it("a root server uploads copies, so that replacing a folder with a link has no effect", async () => {
    const stateDir = mkdtempSync(join(tmpdir(), "stackwarden-state-"));
    const outside = mkdtempSync(join(tmpdir(), "stackwarden-outside-"));
    writeFileSync(join(outside, "main.js"), "a file of the machine");
    mkdirSync(join(folder, "app", "lib"), { recursive: true });
    mkdirSync(join(folder, "ignored"));
    writeFileSync(join(folder, "app", "main.js"), "the project's", { mode: 0o755 });
    writeFileSync(join(folder, "app", "empty"), "");
    writeFileSync(join(folder, "app", "lib", "large"), "x".repeat(3_000_000));
    symlinkSync("/etc/hostname", join(folder, "app", "away"));
    writeFileSync(join(folder, "ignored", "kept"), "included again");
    writeFileSync(join(folder, "ignored", "other"), "");
    writeFileSync(join(folder, "token"), "hush");
    symlinkSync("token", join(folder, ".env"));
    chmodSync(folder, 0o750);
    const { signal } = new AbortController();
    const read: string[] = [];
    const client = {
      host: () => ({ directory: (path: string) => read.push(path), file: (path: string) => read.push(path) }),
    };
    const used = withStaging({ stateDir, name: "service-app", signal }, async (staging) => {
      const options = { client: client as never, folder, stateDir, definition: {}, staging, isRoot: true };
      await uploadFolder(options, folder, ["ignored", "!ignored/kept"]);
      await uploadBind(options, join(folder, "app", "main.js"));
      await uploadFiles(options, folder, ["app/lib/large", "app/missing"]);
      // The Dagger CLI reads later than the server checks.
      renameSync(join(folder, "app"), join(folder, "moved"));
      symlinkSync(outside, join(folder, "app"));
      const [tree = "", file = "", files = ""] = read;
      expect(readFileSync(join(tree, "app", "main.js"), "utf8")).toBe("the project's");
      expect(statSync(join(tree, "app", "main.js")).mode & 0o777).toBe(0o755);
      expect(readFileSync(join(tree, "app", "empty"), "utf8")).toBe("");
      expect(readlinkSync(join(tree, "app", "away"))).toBe("/etc/hostname");
      expect(readdirSync(tree).sort()).toEqual(["app", "ignored"]);
      expect(readdirSync(join(tree, "ignored"))).toEqual(["kept"]);
      expect(readFileSync(file, "utf8")).toBe("the project's");
      expect(readdirSync(join(files, "app"))).toEqual(["lib"]);
      expect(statSync(join(files, "app", "lib", "large")).size).toBe(3_000_000);
      expect(statSync(join(stateDir, "uploads")).mode & 0o077).toBe(0);
      expect(statSync(join(files, "app")).mode & 0o777).toBe(0o755);
      expect(statSync(tree).mode & 0o777).toBe(0o750);
      throw new Error("The start failed.");
    });
    await expect(used).rejects.toThrow("The start failed.");
    expect(readdirSync(join(stateDir, "uploads"))).toEqual([]);
    await removeStaged(stateDir);
    expect(existsSync(join(stateDir, "uploads"))).toBe(false);
    for (const one of [stateDir, outside]) rmSync(one, { recursive: true });
  });

  it("uploadFolder does not count excluded folders towards the limits, although a build includes its Dockerfile again", async () => {
    for (const name of ["node_modules", "data"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "large.img"), "");
      truncateSync(join(folder, name, "large.img"), 9 * 1024 ** 3);
    }
    mkdirSync(join(folder, "docker"));
    writeFileSync(join(folder, "docker", "Dockerfile"), "FROM scratch\n");
    writeFileSync(join(folder, ".dockerignore"), "data\ndocker\n!docs/*.md\n");
    let uploads = 0;
    const client = { host: () => ({ directory: () => (uploads += 1) }) };
    const staging = { copy: () => Promise.reject(new Error("Only a server that runs as root uploads copies.")) };
    const options = { client: client as never, folder, stateDir: "/nowhere", definition: {}, staging, isRoot: false };
    // A pattern with a wildcard can include files of any excluded folder, except those that are never uploaded.
    await expect(uploadFolder(options, folder, await buildExcludes(folder, folder, "docker/Dockerfile"))).resolves.toBe(
      1,
    );
    writeFileSync(join(folder, ".dockerignore"), "data\ndocker\n");
    await expect(uploadFolder(options, folder, await buildExcludes(folder, folder, "docker/Dockerfile"))).resolves.toBe(
      2,
    );
  });

  it("copyFiles copies an empty file, and refuses private files by name, by link and by content", async () => {
    writeFileSync(join(folder, "empty"), "");
    mkdirSync(join(folder, "config"));
    writeFileSync(join(folder, "config", "token"), "hush");
    for (const [link, target] of [
      [".env", "config/token"],
      ["linked", ".env"],
    ] as const)
      symlinkSync(target, join(folder, link));
    const commands: { command: readonly string[]; stdin: string }[] = [];
    const target = {
      service: "app",
      privateFiles: [join(folder, ".env")],
      exec: async ({ command, stdin }: ExecRequest) => {
        commands.push({ command, stdin: String(stdin ?? "") });
        return { exitCode: 0, signal: null, oomKilled: false };
      },
    };
    const copy = (path: string) => ({ target: `/srv/${path}`, source: { path, within: folder } });
    const secrets = [".env", "linked", "config/token"];
    expect(await copyFiles(target, [...secrets, "gone"].map(copy))).toEqual([
      ...secrets.map((path) => ({ target: `/srv/${path}`, reason: "private" })),
      { target: "/srv/gone", reason: "gone" },
    ]);
    expect(commands).toEqual([]);
    expect(await copyFiles(target, [...secrets, "empty"].map(copy))).toHaveLength(secrets.length);
    expect(commands).toEqual([
      { command: ["tar", "-xf", "-", "-C", "/"], stdin: expect.stringContaining("srv/empty") },
    ]);
    expect(commands[0]?.stdin).not.toContain("hush");
  });
});
