/** The programs of a folder and the compose file that runs them. The compose reader reads each suggestion. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { analyseFolder, suggestedCompose } from "../../../src/stack/definition/folder-analysis.js";
import { loadStack } from "../../../src/stack/definition/load.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-analysis-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function files(texts: Record<string, string>): void {
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** The definition of the suggested file. */
async function suggested() {
  const suggestion = suggestedCompose(analyseFolder(folder));
  if (suggestion === null) return null;
  writeFileSync(join(folder, "compose.stackwarden.yaml"), suggestion.text);
  const definition = await loadStack({
    projectId: "shop",
    folder,
    profiles: [],
    allowRoot: [],
    generateSecret: async (name) => `generated-${name}`,
  });
  return { ...suggestion, services: definition.services, names: Object.keys(definition.services) };
}

const VITE = '{ "scripts": { "dev": "vite" }, "devDependencies": { "vite": "7" } }';

describe("suggestedCompose", () => {
  it("each program gets a service, and its manifest's databases are added", async () => {
    files({
      "backend/requirements.txt": "fastapi\nuvicorn\nasyncpg\nredis\n",
      "backend/app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
      "frontend/package.json": VITE,
    });
    const stack = await suggested();
    expect(stack?.names).toEqual(["postgres", "redis", "backend", "frontend"]);
    expect(stack?.services.backend).toMatchObject({
      environment: {
        DATABASE_URL: "postgresql://app:generated-postgres-password@postgres:5432/app",
        REDIS_URL: "redis://redis:6379/0",
      },
      dependsOn: { postgres: { condition: "service_healthy" }, redis: { condition: "service_healthy" } },
      local: {
        workingDir: join(folder, "backend"),
        command: ["python", "-m", "uvicorn", "app.main:app", "--host", "{host}", "--port", "{port}"],
        install: { kind: "python", manifest: join(folder, "backend/requirements.txt") },
      },
    });
    expect(stack?.assumptions).toContain("The programs that need postgres read DATABASE_URL.");
    expect(stack?.assumptions).toContain("The application object in backend/app/main.py is called app.");
  });

  it("the workspaces of a monorepo that can be started become services", async () => {
    files({
      "package.json": '{ "workspaces": ["apps/*", "packages/*"], "scripts": { "dev": "turbo dev" } }',
      "apps/web/package.json": VITE,
      "apps/api/package.json": '{ "scripts": { "start": "node ." }, "dependencies": { "express": "5", "pg": "8" } }',
      "packages/ui/package.json": '{ "name": "ui" }',
    });
    expect((await suggested())?.names).toEqual(["postgres", "api", "web"]);
  });

  it("the workspaces of pnpm-workspace.yaml become services", async () => {
    files({
      "package.json": "{}",
      "pnpm-workspace.yaml": "packages:\n  - 'sites/*'\n  - \"!sites/old\"\n",
      "sites/web/package.json": VITE,
    });
    expect((await suggested())?.names).toEqual(["web"]);
  });

  it("the processes of a Procfile become services, release is left out, and only web gets a port", async () => {
    files({
      Procfile:
        "release: python manage.py migrate\nweb: gunicorn shop.wsgi -b 0.0.0.0:$PORT\nworker: celery -A shop worker\n",
      "requirements.txt": "django\nredis\n",
    });
    const stack = await suggested();
    expect(stack?.names).toEqual(["redis", "web", "worker"]);
    expect(stack?.services.web?.local?.command).toEqual(["sh", "-c", "gunicorn shop.wsgi -b 0.0.0.0:$PORT"]);
    expect(stack?.services.web?.ports).toHaveLength(1);
    expect(stack?.services.worker?.ports).toEqual([]);
    expect(stack?.assumptions).toContain("The process release of the Procfile is left out.");
  });

  it.each([
    ["manage.py", { "manage.py": "import django" }, ["python", "manage.py", "runserver", "{host}:{port}"]],
    ["go.mod", { "go.mod": "module shop", "main.go": "package main" }, ["go", "run", "."]],
    ["go.mod with cmd/", { "go.mod": "module shop", "cmd/shop/main.go": "" }, ["go", "run", "./cmd/shop"]],
  ])("a folder with %s gets a service with the command that starts it", async (_name, texts, command) => {
    files(texts);
    expect((await suggested())?.services.app?.local?.command).toEqual(command);
  });

  it("a Dockerfile's EXPOSE becomes a published port", async () => {
    files({ Dockerfile: "FROM node:20\nEXPOSE 3000\nCMD node .\n" });
    const stack = await suggested();
    expect(stack?.services.app).toMatchObject({ build: { context: folder }, ports: [{ containerPort: 3000 }] });
    expect(stack?.assumptions).toEqual([]);
  });

  it("a program whose command is not known is named and gets no service", () => {
    files({ "Cargo.toml": "" });
    expect(analyseFolder(folder).programs).toMatchObject([
      { description: "a Rust program (Cargo.toml)", service: null },
    ]);
    expect(suggestedCompose(analyseFolder(folder))).toBeNull();
  });
});

describe("suggestedCompose with compose files", () => {
  it("a compose file with an unusual name is included", async () => {
    files({ "docker-compose.dev.yml": "services:\n  db:\n    image: postgres:15\n    ports: ['5432']\n" });
    expect((await suggested())?.names).toEqual(["db"]);
  });

  it("a compose file with a usual name needs no suggestion", () => {
    files({ "docker-compose.yml": "services: {}", "docker-compose.override.yml": "", "package.json": VITE });
    expect(analyseFolder(folder)).toMatchObject({ composeFiles: ["docker-compose.yml"], otherComposeFiles: [] });
    expect(suggestedCompose(analyseFolder(folder))).toBeNull();
  });
});

it("the analysis reads only regular files inside the folder", () => {
  symlinkSync("/etc", join(folder, "backend"));
  symlinkSync("/dev/zero", join(folder, "package.json"));
  symlinkSync("/etc/passwd", join(folder, "requirements.txt"));
  mkdirSync(join(folder, "Procfile"));
  files({ "pnpm-workspace.yaml": "packages: ['../*', '/etc/*']" });
  expect(() => analyseFolder(folder)).not.toThrow();
  expect(analyseFolder(folder).programs.every(({ at }) => at === "")).toBe(true);
});
