import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { loadStack } from "../../src/stack/definition/load.js";

const example = resolve("examples/commandcenter");

describe("example frontend", () => {
  let child: ChildProcess | undefined;
  afterEach(() => {
    child?.kill("SIGKILL");
    child = undefined;
  });

  /** @returns its log lines as objects */
  async function start(args: string[], env: Record<string, string> = {}) {
    const started = spawn(process.execPath, ["server.mjs", ...args], { cwd: join(example, "frontend"), env });
    child = started;
    const lines: Record<string, unknown>[] = [];
    let rest = "";
    const exited = once(started, "close").then(([code]) => code as number | null);
    await new Promise<void>((ready) => {
      started.stdout.on("data", (chunk: Buffer) => {
        const parts = (rest + chunk.toString()).split("\n");
        rest = parts.pop() ?? "";
        lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>));
        if (lines.length > 0) ready();
      });
      void exited.then(() => ready());
    });
    return { lines, exited, url: `http://127.0.0.1:${lines[0]?.port}` };
  }

  it("the frontend serves / with the project name and API address escaped", async () => {
    const hostile = `"><script>alert('1')</script>&`;
    const { lines, url } = await start(["--host", "127.0.0.1", "--port", "0"], {
      VITE_PROJECT_NAME: hostile,
      VITE_API_BASE_URL: "http://127.0.0.1:8123/ignored?x=<script>",
    });
    expect(lines[0]).toMatchObject({ msg: "started", host: "127.0.0.1" });
    const response = await fetch(`${url}/?from=test`);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get("content-security-policy")).toContain("connect-src http://127.0.0.1:8123;");
    expect(html).toContain("<title>&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;</title>");
    expect(html).toContain('<body data-api="http://127.0.0.1:8123">');
    expect(html).not.toContain("alert('1')");
  });

  it("the frontend serves only its two files", async () => {
    const { url } = await start(["--port", "0"]);
    expect((await fetch(`${url}/client.js`)).headers.get("content-type")).toContain("javascript");
    expect((await fetch(`${url}/style.css`)).status).toBe(200);
    expect((await fetch(`${url}/server.mjs`)).status).toBe(404);
    expect((await fetch(`${url}/%2e%2e/package.json`)).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  it("the frontend ends with exit code 0 at SIGTERM while a connection is open", async () => {
    const { url, exited, lines } = await start(["--port", "0"]);
    await (await fetch(url)).text();
    child?.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(lines.at(-1)).toMatchObject({ msg: "stopping", signal: "SIGTERM" });
  });

  it.each([
    [["--port", "70000"], {}, /--port must be/],
    [["--prt", "1"], {}, /prt/],
    [["--port", "0"], { VITE_API_BASE_URL: "javascript:alert(1)" }, /VITE_API_BASE_URL/],
  ])("the frontend refuses %j %j", async (args, env, message) => {
    const { exited, lines } = await start(args, env as Record<string, string>);
    expect(await exited).toBe(2);
    expect(lines[0]?.msg).toMatch(message);
  });

  it("the frontend reports a port in use in one line", async () => {
    const first = await start(["--port", "0"]);
    const holder = child;
    const second = await start(["--port", new URL(first.url).port]);
    expect(await second.exited).toBe(1);
    expect(second.lines).toHaveLength(1);
    expect(second.lines[0]?.msg).toMatch(/cannot listen.*EADDRINUSE/);
    holder?.kill("SIGKILL");
    await first.exited;
  });
});

describe("example backend", () => {
  const app = join(example, "backend", "app");

  it("the backend is valid Python", () => {
    const cache = mkdtempSync(join(tmpdir(), "stackwarden-pyc-"));
    const files = readdirSync(app).filter((name) => name.endsWith(".py"));
    expect(files).toContain("main.py");
    try {
      execFileSync("/usr/bin/python3", ["-m", "py_compile", ...files.map((name) => join(app, name))], {
        env: { PYTHONPYCACHEPREFIX: cache },
        stdio: "pipe",
      });
    } finally {
      rmSync(cache, { recursive: true });
    }
  });

  it("the backend pins every package to an exact version", () => {
    const lines = readFileSync(join(example, "backend", "requirements.txt"), "utf8").split("\n");
    const packages = lines.filter((line) => line !== "" && !line.startsWith("#"));
    expect(packages.length).toBeGreaterThan(4);
    for (const line of packages) expect(line).toMatch(/^[a-z0-9-]+==[\d.]+(; python_full_version < "[\d.]+")?$/);
  });
});

describe("example project", () => {
  it("the example is the built-in stack with all four services", async () => {
    const definition = await loadStack({
      projectId: "example",
      folder: example,
      profiles: [],
      allowRoot: [],
      generateSecret: async (name) => `generated-${name}`,
    });
    expect(definition.source).toBe("built-in:commandcenter");
    expect(Object.keys(definition.services)).toEqual(["postgres", "redis", "backend", "frontend"]);
    expect(definition.notes).toEqual([
      "The folder has no compose file: this is the built-in stack (postgres, redis, backend, frontend).",
    ]);
  });
});
