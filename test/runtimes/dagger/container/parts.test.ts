/** What a container is made of, part by part: users, uploads, volumes, environment. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { splitEnvironment } from "../../../../src/runtimes/dagger/container/environment.js";
import {
  buildExcludes,
  ignorePatterns,
  uploadBind,
  uploadFolder,
} from "../../../../src/runtimes/dagger/container/uploads.js";
import { removeVolumes } from "../../../../src/runtimes/dagger/stack/remove-volumes.js";
import { forgetVolumes, volumeKey } from "../../../../src/runtimes/dagger/stack/volumes.js";
import { chooseUser, withOwnGroup } from "../../../../src/runtimes/shared/image-user.js";
import { installationOf } from "../../../../src/runtimes/shared/installation.js";
import type { ServiceDefinition, StackDefinition } from "../../../../src/stack/definition/types.js";
import { isBeneath } from "../../../../src/system/is-beneath.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("users", () => {
  const choose = (user: string | undefined, imageUser: string, image?: string, allowRoot = false) =>
    chooseUser(
      { name: "app", allowRoot, ...(user === undefined ? {} : { user }), ...(image === undefined ? {} : { image }) },
      imageUser,
    );

  it("the compose file's user, else the image's, else the image's own unprivileged one, else 1000", () => {
    expect(choose("70", "")).toEqual({ user: "70" });
    expect(choose("app:staff", "root")).toEqual({ user: "app:staff" });
    expect(choose(undefined, "nginx")).toEqual({ user: "nginx" });
    expect(choose(undefined, "", "docker.io/library/postgres:15-alpine")).toMatchObject({ user: "postgres" });
    expect(choose(undefined, "root", "redis:7@sha256:abc")).toMatchObject({ user: "redis" });
    const app = choose(undefined, "0:0", "ghcr.io/org/thing:1");
    expect(app).toEqual({ user: "1000:1000", note: expect.stringContaining("1000:1000") });
    expect(choose(undefined, "")).toMatchObject({ user: "1000:1000" });
    expect(choose(undefined, "", "registry:5000/a/postgres")).toMatchObject({ user: "postgres" });
  });

  it("a numeric user gets the group of its number where the image has no passwd file", () => {
    expect(["1234", "65532", "1000:50", "app", "app:staff"].map(withOwnGroup)).toEqual([
      "1234:1234",
      "65532:65532",
      "1000:50",
      "app",
      "app:staff",
    ]);
  });

  it("root is refused in every spelling, unless the server's configuration allows it", () => {
    for (const root of ["root", "0", "00", "root:root", "0:1000", ":0", " "])
      expect(() => choose(root, "")).toThrow(expect.objectContaining({ code: "POLICY_VIOLATION" }));
    expect(choose("0", "", undefined, true)).toEqual({ user: "0" });
    expect(choose(undefined, "", "postgres:15", true)).toEqual({ user: "root" });
    expect(choose(undefined, "0:0", undefined, true)).toEqual({ user: "0:0" });
  });
});

describe("uploads", () => {
  it("a .dockerignore is read as Docker reads it", () => {
    const text = "# comment\n\n/dist/\n./tmp\n  *.log  \n!keep.log\n! /back\n.\n/\n**/cache\r\n";
    expect(ignorePatterns(text)).toEqual(["dist", "tmp", "*.log", "!keep.log", "!back", "**/cache"]);
  });

  it("a build leaves out history, packages and what is ignored, never its Dockerfile", async () => {
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
    // One that cannot be taken as it is must not be passed over: what it names would be uploaded.
    symlinkSync("prod.Dockerfile.dockerignore", join(folder, "linked.dockerignore"));
    expect((await buildExcludes(folder, folder, "linked")).slice(-2)).toEqual(["docs", "!linked"]);
    symlinkSync("/etc/hostname", join(folder, "away.dockerignore"));
    writeFileSync(join(folder, "large.dockerignore"), "secret\n".repeat(50_000));
    for (const refused of ["away", "large"])
      await expect(buildExcludes(folder, folder, refused)).rejects.toMatchObject({ code: "INVALID_STACK" });
  });

  it("copies are made of what lies in the project, as it is now, without its .env and the server's state", async () => {
    const asked: unknown[] = [];
    const client = {
      host: () => ({
        directory: (path: string, options: object) => asked.push(["directory", path, options]),
        file: (path: string, options: object) => asked.push(["file", path, options]),
      }),
    };
    const options = { client: client as never, folder, stateDir: join(folder, "state"), definition: {} };
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
});

describe("volumes", () => {
  const used = { runnerHost: "unix:///engine", user: "70", image: "postgres:15" };

  it("that are deleted are emptied on each engine by the image and the user that used them, else by one that is always there", async () => {
    const [kept, data, built, other] = await Promise.all([
      volumeKey(folder, "shop", "kept", used),
      volumeKey(folder, "shop", "data", used),
      volumeKey(folder, "shop", "built", { runnerHost: "unix:///engine" }),
      volumeKey(folder, "shop", "data", { ...used, runnerHost: "tcp://other:1" }),
    ]);
    const done: string[] = [];
    const warnings: string[] = [];
    const session = (engine: string) => {
      const container = (words: string[]): object => {
        const step = (...given: unknown[]) => container([...words, ...given.flat().map(String)]);
        return {
          from: step,
          withUser: step,
          withMountedCache: step,
          withEnvVariable: () => container(words),
          withExec: step,
          sync: async () => void done.push([engine, ...words].join(" ")),
        };
      };
      const client = { container: () => container([]), cacheVolume: (key: string) => key };
      return { client: () => client, close: async () => void done.push(`${engine} closed`) };
    };
    const remove = (names: string[], env: NodeJS.ProcessEnv, fails = "") =>
      removeVolumes({
        projectId: "shop",
        stateDir: folder,
        volumes: names,
        env,
        warn: (message) => warnings.push(message),
        openSession: async ({ runnerHost }) => {
          if (runnerHost === fails) throw new Error("no engine here");
          return session(runnerHost ?? "") as never;
        },
        fallbackImage: "node:20-alpine",
      });
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "dagger"), "#!/bin/sh\necho dagger v0.21.8\n", { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    await remove(["nothing"], {});
    expect([done, warnings]).toEqual([[], []]);
    await remove(["data"], env, "tcp://other:1");
    const empties = "/bin/sh -c find /volume -mindepth 1 -delete";
    expect(done).toEqual([`unix:///engine postgres:15 70 /volume ${data} ${empties}`, "unix:///engine closed"]);
    expect(warnings).toEqual([expect.stringMatching(/^shop: .*still holds their content.*: no engine here$/)]);
    // Forgotten all the same: the next stack gets an empty one on both.
    expect(await volumeKey(folder, "shop", "data", { ...used, runnerHost: "tcp://other:1" })).not.toBe(other);
    await remove(["built"], env);
    expect(done.slice(2)).toEqual([
      `unix:///engine node:20-alpine root /volume ${built} ${empties}`,
      "unix:///engine closed",
    ]);
    await remove(["data"], { PATH: "/nowhere" });
    expect(warnings[1]).toMatch(/still holds their content.*: .*dagger/i);
    expect(done).toHaveLength(4);
    expect(await volumeKey(folder, "shop", "kept", used)).toBe(kept);
  });

  it("a key is made once for each volume and engine, and kept readable for the owner only", async () => {
    const keys = await Promise.all(["a", "b", "a"].map((name) => volumeKey(folder, "shop", name, used)));
    expect(keys[0]).toMatch(/^stackwarden-shop-a-[0-9a-f]{16}$/);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[0]).not.toBe(keys[1]);
    expect(await volumeKey(folder, "shop", "a", { runnerHost: null })).not.toBe(keys[0]);
    expect(await volumeKey(folder, "shop", "a", { ...used, user: "71" })).toBe(keys[0]);
    expect(await volumeKey(folder, "shop", "__proto__", used)).toMatch(/__proto__-[0-9a-f]{16}$/);
    expect(statSync(join(folder, "dagger-volumes.json")).mode & 0o777).toBe(0o600);
  });

  it("what is forgotten has a new key, on every engine; what was not is kept", async () => {
    expect(await forgetVolumes(folder, ["a"])).toEqual([]);
    const [first, other] = [await volumeKey(folder, "shop", "a", used), await volumeKey(folder, "shop", "b", used)];
    await volumeKey(folder, "shop", "a", { runnerHost: null });
    const gone = await forgetVolumes(folder, ["a", "never"]);
    expect(gone).toHaveLength(2);
    expect(gone).toContainEqual({ key: first, ...used });
    expect(await volumeKey(folder, "shop", "a", used)).not.toBe(first);
    expect(await volumeKey(folder, "shop", "b", used)).toBe(other);
  });

  it("a damaged list is an error: a new key would lose the data silently", async () => {
    const path = join(folder, "dagger-volumes.json");
    writeFileSync(path, "{");
    await expect(volumeKey(folder, "shop", "a", used)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(readFileSync(path, "utf8")).toBe("{");
    rmSync(path);
    mkdirSync(path);
    await expect(forgetVolumes(folder, ["a"])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});

describe("environment", () => {
  it("published addresses are filled in; whatever holds a secret is set apart", () => {
    const environment = {
      PLAIN: "a {published:web:80} {published:gone:81} {published:web}",
      URL: "postgres://app:s3cret@db",
      NAMED: "harmless",
      EMPTY: "",
      SHORT: "x abc",
    };
    const service = { environment, secretEnvironment: ["NAMED", "EMPTY"] } as unknown as ServiceDefinition;
    const definition = { secretValues: ["s3cret", "abc"] } as unknown as StackDefinition;
    const split = splitEnvironment(service, definition, (name) => (name === "web" ? 4000 : undefined));
    expect({ ...split.plain }).toEqual({
      PLAIN: "a 127.0.0.1:4000 gone:81 {published:web}",
      EMPTY: "",
      SHORT: "x abc",
    });
    expect({ ...split.secret }).toEqual({ URL: "postgres://app:s3cret@db", NAMED: "harmless" });
  });

  it("dependencies are installed only into the bare language's image", () => {
    const service = (image: string | undefined, more: object = {}) =>
      ({ image, local: { install: { kind: "python", manifest: "requirements.txt" } }, ...more }) as never;
    expect(installationOf(service("python:3.11-slim"))).toMatchObject({ kind: "python" });
    expect(installationOf(service("docker.io/library/python:3.11"))).not.toBeNull();
    for (const other of [
      service("node:20"),
      service("me/app"),
      service(undefined),
      service("python:3", { build: {} }),
      service("python:3", { local: {} }),
    ])
      expect(installationOf(other)).toBeNull();
  });
});
