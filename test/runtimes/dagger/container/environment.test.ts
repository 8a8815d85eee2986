/** Environment variables of a container, and its installation of dependencies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { splitEnvironment } from "../../../../src/runtimes/dagger/container/environment.js";
import { installationOf } from "../../../../src/runtimes/shared/installation.js";
import type { ServiceDefinition, StackDefinition } from "../../../../src/stack/definition/types.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("environment and installation of a container", () => {
  it("splitEnvironment fills in published addresses and separates values that contain a secret", () => {
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

  it("installationOf returns an installation only for an official image of the language", () => {
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
