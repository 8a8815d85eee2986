/** Services that use an image which another service builds. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadStack } from "../../../src/stack/definition/load.js";
import { resolvedModel } from "../../../src/stack/definition/resolved-model.js";
import type { LoadRequest } from "../../../src/stack/definition/types.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-builds-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (text: string, more: Partial<LoadRequest> = {}) => {
  writeFileSync(join(folder, "compose.yaml"), `services:\n${text}`);
  const generateSecret = async (): Promise<string> => "";
  return loadStack({ projectId: "p", folder, profiles: [], allowRoot: [], generateSecret, ...more });
};

it.each([
  ["shop/app", "shop/app"],
  ["shop/app", "shop/app:latest"],
  ["localhost:5000/app:1", "localhost:5000/app:1"],
])("a service with the image %s has the build of the service that builds %s", async (used, built) => {
  const { services } = await load(
    `  web: { build: { context: ., target: run, no_cache: true }, image: "${built}" }\n  worker: { image: "${used}", command: [work] }\n`,
  );
  expect(services.worker).toMatchObject({ image: used, builtBy: "web", command: ["work"] });
  // The build of web renews what it uses.
  expect(services.web?.build).toEqual({ context: folder, target: "run", args: {}, noCache: true });
  expect(services.worker?.build).toEqual({ context: folder, target: "run", args: {} });
  expect(services.web?.builtBy).toBeUndefined();
});

it.each([
  ["another tag", 'image: "shop/app:2"'],
  ["a digest", `image: "shop/app:1@sha256:${"0".repeat(64)}"`],
  ["another platform", 'image: "shop/app:1", platform: linux/s390x'],
  ["its own build", 'image: "shop/app:1", build: { context: ., target: other }'],
])("a service with %s keeps what it has", async (_what, fields) => {
  const { services } = await load(`  web: { build: ., image: "shop/app:1" }\n  worker: { ${fields} }\n`);
  expect(services.worker?.builtBy).toBeUndefined();
  expect(services.worker?.build?.target).toBe(fields.includes("build") ? "other" : undefined);
});

it("a service that runs alone is built as the service that does not run describes it", async () => {
  const text = `  web: { build: ., image: shop/app, profiles: [web] }\n  worker: { image: shop/app }\n`;
  const { services } = await load(text);
  expect(Object.keys(services)).toEqual(["worker"]);
  expect(services.worker).toMatchObject({ builtBy: "web", build: { context: folder } });
});

it("the resolved model has the build of the service that has it in the file", async () => {
  const definition = await load(`  web: { build: ., image: shop/app }\n  worker: { image: shop/app }\n`);
  const { services } = resolvedModel(definition) as { services: Record<string, Record<string, unknown>> };
  expect(services.web).toHaveProperty("build");
  expect(services.worker).not.toHaveProperty("build");
});
