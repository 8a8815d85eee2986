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

describe("shared volumes", () => {
  it.each([
    ["image: postgres:16", "image: postgres:16"],
    ["image: postgres:16", "image: redis:7"],
    ["image: valkey/valkey", "image: docker.io/library/redis:7"],
    ["image: acme/db\n    x-local: { provider: postgres }", "image: postgres"],
    ["image: postgres\n    command: [postgres, -c, fsync=off]", "image: redis\n    command: [--save, '']"],
  ])("a volume of two databases is refused with its line: %s, %s", async (first, second) => {
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
      "one database and another service use",
      service("one", ["image: postgres", data]) + service("two", ["image: nginx", data]),
    ],
    [
      "a program of the database's image uses",
      service("one", ["image: postgres", data]) +
        service("two", ["image: postgres", "command: [pg_dump, -h, one]", data]),
    ],
    [
      "is read-only for the second database",
      service("one", ["image: postgres", data]) + service("two", ["image: postgres", 'volumes: ["data:/data:ro"]']),
    ],
    [
      "only one of two databases uses",
      service("one", ["image: postgres", data]) + service("two", ["image: redis", 'volumes: ["other:/data"]']),
    ],
    ["two app services share", service("one", ["image: nginx", data]) + service("two", ["image: node", data])],
  ])("a volume that %s is accepted", async (_what, services) => {
    expect(Object.keys((await load(services)).services)).toEqual(["one", "two"]);
  });
});

describe("embedded servers", () => {
  it.each(["acme/postgres", "bitnami/postgresql:16", "supabase/postgres", "ghcr.io/acme/redis:7"])(
    "an image that is not official has no embedded server: %s",
    async (image) => {
      expect((await load(service("db", [`image: ${image}`]))).services.db?.local).toBeUndefined();
    },
  );

  it("an image that the project builds has no embedded server unless x-local names one", async () => {
    const { services } = await load(service("db", ["image: postgres:16", "build: ."]));
    expect(services.db?.local).toBeUndefined();
    const asked = await load(service("db", ["image: postgres:16", "build: .", "x-local: { provider: postgres }"]));
    expect(asked.services.db?.local?.provider).toBe("postgres");
  });
});
