/** Deletions on engines that do not answer or no longer exist. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { connect } from "../../../src/runtimes/docker/engine/engine.js";
import { rememberEngine, rememberedEngines } from "../../../src/runtimes/docker/volumes/engines.js";
import { type FakeEngine, startFakeEngine } from "../../support/docker/fake-engine.js";

let folder: string;
const engines: FakeEngine[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-volumes-"));
});
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const hostOf = (name: string): string => `unix://${join(folder, name)}.sock`;

/** An engine that holds a volume `data` of the project, until it is deleted. */
async function engineWithData(name: string): Promise<FakeEngine> {
  const engine = await startFakeEngine(join(folder, `${name}.sock`));
  const Volumes = [{ Name: "v", Labels: { "io.github.stackwarden.volume": "data" } }];
  for (const list of ["containers", "images"]) engine.on(`GET /${list}/json`, { body: [] });
  engine.on("GET /networks", { body: [] });
  engine.on("GET /volumes", { body: { Volumes } });
  engine.on("DELETE /volumes/v", { status: 204 });
  engines.push(engine);
  return engine;
}

const deletions = ({ requests }: FakeEngine): number => requests.filter((one) => one === "DELETE /volumes/v").length;

function runtimeAt(name: string) {
  const warnings: string[] = [];
  const runtime = createDockerRuntime({
    settings: { host: hostOf(name), retry: { maxRetries: 0, baseDelayMs: 10 } },
    env: {},
    warn: (message) => void warnings.push(message),
  });
  return { runtime, warnings };
}

describe("removal of a project whose engine no longer exists", () => {
  it("the second call forgets the project and names the engine that still holds data", async () => {
    const present = await engineWithData("present");
    await rememberEngine(folder, hostOf("gone"));
    await rememberEngine(folder, hostOf("present"));
    const { runtime } = runtimeAt("present");
    const reason = `the engine ${hostOf("gone")} still holds their content: The container engine at ${hostOf("gone")} does not answer: ENOENT.`;
    await expect(runtime.removeProject("shop", folder)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: `The volumes of shop were not deleted: ${reason}`,
      hint: expect.stringContaining("the next call forgets the project"),
      details: { engine: hostOf("gone") },
    });
    expect(deletions(present)).toBe(1);
    // An engine on which everything was deleted cannot prevent the second call.
    await present.close();
    engines.length = 0;
    expect(await runtime.removeProject("shop", folder)).toEqual([`Volumes were not deleted: ${reason}`]);
  });

  it("a project stays when its engine was used again, or when an engine that answers refuses", async () => {
    await rememberEngine(folder, hostOf("away"));
    const { runtime } = runtimeAt("away");
    const removing = () => runtime.removeProject("shop", folder);
    await expect(removing()).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await rememberEngine(folder, hostOf("away"));
    await expect(removing()).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    const back = await engineWithData("away");
    back.on("DELETE /volumes/v", { status: 409, body: { message: "volume is in use" } });
    for (const _ of [1, 2])
      await expect(removing()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("in use"),
      });
    // A connection that breaks during the removal counts as an engine that does not answer.
    back.on("GET /volumes", "cut");
    expect(await removing()).toEqual([expect.stringContaining("still holds their content")]);
  });
});

describe("deletion of volumes while a former engine does not answer", () => {
  const request = () => ({
    projectId: "shop",
    stateDir: folder,
    volumes: ["data"],
    signal: new AbortController().signal,
    maxBytes: 1,
  });

  it("volumes on a former engine are deleted before that engine is used again", async () => {
    const present = await engineWithData("present");
    await rememberEngine(folder, hostOf("former"));
    await rememberEngine(folder, hostOf("present"));
    const { runtime, warnings } = runtimeAt("present");
    await runtime.removeVolumes("shop", folder, ["data"]);
    expect(deletions(present)).toBe(1);
    expect(warnings).toEqual([expect.stringMatching(/^shop: .*used again: The container engine .*former.* ENOENT\.$/)]);
    const former = await engineWithData("former");
    const later = runtimeAt("former").runtime;
    await later.copyVolumes(request(), folder);
    expect(deletions(former)).toBe(1);
    await later.copyVolumes(request(), folder);
    expect(deletions(former)).toBe(1);
  });

  it("the deletion fails when the engine in use does not answer", async () => {
    await rememberEngine(folder, hostOf("present"));
    const removing = runtimeAt("present").runtime.removeVolumes("shop", folder, ["data"]);
    await expect(removing).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(await rememberedEngines(folder)).toEqual([{ host: hostOf("present") }]);
  });
});

it("engines are recorded by address, and a damaged record is an error", async () => {
  const path = join(folder, "docker-engines.json");
  expect(await rememberedEngines(folder)).toEqual([]);
  for (const host of ["unix:///a", "unix:///a", "tcp://b:1"]) await rememberEngine(folder, host);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(["unix:///a", "tcp://b:1"]);
  expect(await rememberedEngines(folder)).toEqual([{ host: "unix:///a" }, { host: "tcp://b:1" }]);
  writeFileSync(path, '["unix:///a", 7, {"name": "x"}]');
  expect(await rememberedEngines(folder)).toEqual([{ host: "unix:///a" }]);
  writeFileSync(path, "{}");
  await expect(rememberedEngines(folder)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
});

it("an engine that accepts a connection and does not answer is unavailable", async () => {
  const server = createServer((socket) => void socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(join(folder, "silent.sock"), resolve));
  const opening = connect({ host: hostOf("silent"), source: "test" }, {}, { connectMs: 50 });
  await expect(opening).rejects.toMatchObject({
    code: "RUNTIME_UNAVAILABLE",
    message: `The container engine at ${hostOf("silent")} does not answer: nothing within 50 ms.`,
  });
  const leaving = AbortSignal.timeout(20);
  const left = connect({ host: hostOf("silent"), source: "test" }, {}, { signal: leaving });
  await expect(left).rejects.toMatchObject({ name: "TimeoutError" });
  await new Promise((resolve) => server.close(resolve));
});
