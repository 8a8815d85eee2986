/** A start does not replace a folder's program by the built-in stack. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ownProgram } from "../../../src/stack/definition/own-program.js";
import { call, Domain } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

function folder(files: Record<string, string>): string {
  const at = join(domain.root, "shop");
  mkdirSync(at, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), text);
  }
  return at;
}
const start = () => domain.manager().start({ project: "shop" }, call());

const FASTAPI = {
  "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
  "requirements.txt": "fastapi\nuvicorn\n",
};
const VITE = { "package.json": '{ "scripts": { "dev": "vite" }, "devDependencies": { "vite": "5" } }' };

describe("start of a folder without a compose file", () => {
  it.each([
    ["a FastAPI program (main.py, requirements.txt)", FASTAPI],
    [
      "a FastAPI program (app/main.py, pyproject.toml)",
      { "app/main.py": "from fastapi import FastAPI", "pyproject.toml": "" },
    ],
    ["a Django program (manage.py)", { "manage.py": "import django" }],
    ["a Vite project (package.json)", VITE],
    ["a Node project (package.json)", { "package.json": "{}" }],
    ["a Go program (go.mod)", { "go.mod": "module shop" }],
    ["a Dockerfile", { Dockerfile: "FROM scratch" }],
  ])("a folder with %s is refused, and no service starts", async (description, files) => {
    folder(files);
    await expect(start()).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining(`It holds ${description}; the built-in stack would start postgres and redis`),
      details: { program: description, compose_files: [] },
    });
    expect(domain.runtime.started()).toEqual([]);
  });

  it("the refusal names a compose file with an unusual name", async () => {
    folder({ ...FASTAPI, "docker-compose.dev.yml": "services: {}" });
    await expect(start()).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("the compose file docker-compose.dev.yml"),
      hint: 'Start with it: start_stack {"files": ["docker-compose.dev.yml"]}; or copy it to compose.yaml.',
      details: { compose_files: ["docker-compose.dev.yml"] },
    });
  });

  it("the suggested compose file starts the program", async () => {
    for (const files of [FASTAPI, VITE]) {
      const at = folder(files);
      const { compose } = ownProgram(at) ?? {};
      expect(Object.keys(parse(compose ?? "").services.app)).toContain("x-local");
      writeFileSync(join(at, "compose.yaml"), compose ?? "");
      expect(await start()).toMatchObject({ verified: true, after: { services: { app: { state: "healthy" } } } });
      domain.close();
      domain = new Domain();
    }
  });

  it("the built-in stack starts in an empty folder and beside backend/ or frontend/", async () => {
    folder({ "README.md": "hello" });
    expect((await start()).after.source).toBe("built-in:commandcenter");
    await domain.close();
    domain = new Domain();
    folder({ ...VITE, "backend/requirements.txt": "fastapi", "backend/app/main.py": "" });
    expect(Object.keys((await start()).after.services)).toContain("backend");
  });
});
