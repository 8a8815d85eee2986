import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { loadStack } from "../../../src/stack/definition/load.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-volumes-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (services: string) => {
  writeFileSync(join(folder, "compose.yaml"), `services:\n${services}volumes: { data: {}, other: {} }\n`);
  return loadStack({ projectId: "p", folder, profiles: [], allowRoot: [], generateSecret: async () => "generated" });
};
const service = (name: string, lines: string[]) => [`  ${name}:`, ...lines.map((line) => `    ${line}`), ""].join("\n");
const data = 'volumes: ["data:/data"]';

describe("a volume", () => {
  it.each([
    ["image: postgres:16", "image: postgres:16"],
    ["image: postgres:16", "image: redis:7"],
    ["image: valkey/valkey", "image: docker.io/library/redis:7"],
    ["image: acme/db\n    x-local: { provider: postgres }", "image: postgres"],
    ["image: postgres\n    command: [postgres, -c, fsync=off]", "image: redis\n    command: [--save, '']"],
  ])("that two databases share is refused with its place: %s, %s", async (first, second) => {
    const error = (await load(service("one", [first, data]) + service("two", [second, data])).then(
      () => null,
      (refused: unknown) => refused,
    )) as StackwardenError;
    expect(error).toMatchObject({ code: "INVALID_STACK", hint: expect.stringContaining("a separate volume") });
    expect(error.message).toMatch(
      /compose\.yaml:\d+: services\.two\.volumes: uses the volume data, in which the database one keeps its data$/,
    );
  });

  it.each([
    [
      "of one database is read by another service",
      service("one", ["image: postgres", data]) + service("two", ["image: nginx", data]),
    ],
    [
      "is backed up by a program of the same image",
      service("one", ["image: postgres", data]) +
        service("two", ["image: postgres", "command: [pg_dump, -h, one]", data]),
    ],
    [
      "is read only for the other database",
      service("one", ["image: postgres", data]) + service("two", ["image: postgres", 'volumes: ["data:/data:ro"]']),
    ],
    [
      "is another one for each database",
      service("one", ["image: postgres", data]) + service("two", ["image: redis", 'volumes: ["other:/data"]']),
    ],
    [
      "of two app services is shared on purpose",
      service("one", ["image: nginx", data]) + service("two", ["image: node", data]),
    ],
  ])("is accepted when it %s", async (_what, services) => {
    expect(Object.keys((await load(services)).services)).toEqual(["one", "two"]);
  });
});

describe("an image", () => {
  it.each(["acme/postgres", "bitnami/postgresql:16", "supabase/postgres", "ghcr.io/acme/redis:7"])(
    "that is not official has no embedded server: %s",
    async (image) => {
      expect((await load(service("db", [`image: ${image}`]))).services.db?.local).toBeUndefined();
    },
  );

  it("that the project builds has no embedded server, whatever its name is", async () => {
    const { services } = await load(service("db", ["image: postgres:16", "build: ."]));
    expect(services.db?.local).toBeUndefined();
    const asked = await load(service("db", ["image: postgres:16", "build: .", "x-local: { provider: postgres }"]));
    expect(asked.services.db?.local?.provider).toBe("postgres");
  });
});
