import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { credentialsFor, registryOf } from "../../../../src/runtimes/docker/engine/credentials.js";

let folder: string;
const configure = (config: object): void => writeFileSync(join(folder, "config.json"), JSON.stringify(config));
const helper = (name: string, script: string): void => {
  const path = join(folder, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
};
const ask = (image: string) =>
  credentialsFor(image, {
    ...process.env,
    DOCKER_CONFIG: folder,
    STACKWARDEN_PROGRAM_DIRS: `${folder}:/usr/bin:/bin`,
  });
const basic = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString("base64");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-credentials-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

it("the registry of an image is its first part if that is a host, else Docker Hub", () => {
  expect(registryOf("ghcr.io/owner/name:1")).toBe("ghcr.io");
  expect(registryOf("localhost/name")).toBe("localhost");
  expect(registryOf("127.0.0.1:5000/name@sha256:00")).toBe("127.0.0.1:5000");
  for (const name of ["node:20", "owner/name"]) expect(registryOf(name)).toBe("https://index.docker.io/v1/");
});

it("credentials of `docker login` are read, also with colons in the password", async () => {
  configure({
    auths: {
      "https://index.docker.io/v1/": { auth: basic("hub", "a:b") },
      "registry.example:5000": { identitytoken: "token" },
      "empty.example": {},
    },
  });
  expect(await ask("node:20")).toEqual({
    username: "hub",
    password: "a:b",
    serveraddress: "https://index.docker.io/v1/",
  });
  expect(await ask("registry.example:5000/app")).toMatchObject({ identitytoken: "token" });
  expect(await ask("empty.example/app")).toBeNull();
  expect(await ask("other.example/app")).toBeNull();
});

it("the registry's helper precedes the credential store, which precedes the file", async () => {
  helper("one", `read name; echo "{\\"Username\\":\\"one\\",\\"Secret\\":\\"of $name\\"}"`);
  helper("store", 'echo \'{"Username":"<token>","Secret":"identity"}\'');
  helper("broken", "echo no credentials; exit 1");
  configure({
    credsStore: "store",
    credHelpers: { "one.example": "one", "broken.example": "broken", "bad.example": "../evil", "gone.example": "gone" },
    auths: { "broken.example": { auth: basic("file", "password") }, "gone.example": { auth: basic("file", "gone") } },
  });
  expect(await ask("one.example/app")).toMatchObject({ username: "one", password: "of one.example" });
  expect(await ask("two.example/app")).toMatchObject({ identitytoken: "identity" });
  expect(await ask("broken.example/app")).toMatchObject({ username: "file", password: "password" });
  expect(await ask("gone.example/app")).toMatchObject({ password: "gone" });
  expect(await ask("bad.example/app")).toBeNull();
  helper("store", "echo not json");
  expect(await ask("two.example/app")).toBeNull();
});

it("a missing or damaged configuration gives no credentials", async () => {
  expect(await ask("node:20")).toBeNull();
  writeFileSync(join(folder, "config.json"), "{");
  expect(await ask("node:20")).toBeNull();
});
