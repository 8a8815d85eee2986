/**
 * `stackwarden dashboard`: the background server's listener, and links with tokens for the user who runs the command.
 */
import { execFile } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BINARY, TestBench, until } from "../e2e/support/bench.js";
import { spawnServe } from "../e2e/support/serving.js";
import { run } from "./support.js";

/** The output of a command whose standard output is a terminal. */
async function onTerminal(bench: TestBench, args: string[], env: Record<string, string> = {}): Promise<string> {
  const program = JSON.stringify([process.execPath, BINARY, ...args]);
  const { stdout } = await promisify(execFile)(
    "python3",
    ["-c", `import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(${program})))`],
    {
      cwd: bench.projects,
      env: { PATH: process.env.PATH ?? "", NO_COLOR: "1", TERM: "dumb", ...bench.environment(), ...env },
    },
  );
  return stdout;
}

interface Link {
  url: string;
  token: string;
  get(path: string): Promise<Response>;
}

function linkIn(output: string): Link {
  const [, url = "", token = ""] = /(http:\/\/127\.0\.0\.1:\d+)\/#token=([\w-]{43})/.exec(output) ?? [];
  return { url, token, get: (path) => fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${token}` } }) };
}

describe("stackwarden dashboard", () => {
  let bench: TestBench;
  let link: Link;
  beforeAll(async () => {
    bench = new TestBench();
    bench.project("shop", { "compose.yaml": "services: { app: { image: node:20, command: [node, app.js] } }\n" });
    link = linkIn(await onTerminal(bench, ["dashboard"]));
  });
  afterAll(() => bench.close());

  it("the command starts the server and prints a link whose token opens REST and not /mcp", async () => {
    expect(link.url).not.toBe("");
    expect(await (await fetch(`${link.url}/`)).text()).toContain("<!doctype html>");
    expect(await (await link.get("/api/v1/access")).json()).toMatchObject({ scope: "operate" });
    expect((await link.get("/api/v1/projects")).status).toBe(200);
    expect((await fetch(`${link.url}/api/v1/projects`)).status).toBe(401);
    expect((await link.get("/mcp")).status).toBe(404);
    expect((await run(bench, ["server", "status"])).stdout).toContain(link.url);
  });

  it("each command prints another token for the same address, and none outside a terminal", async () => {
    const second = linkIn(await onTerminal(bench, ["dashboard", "--no-open"]));
    expect(second.url).toBe(link.url);
    expect(second.token).not.toBe(link.token);
    for (const one of [link, second]) expect((await one.get("/api/v1/access")).status).toBe(200);
    const piped = await run(bench, ["dashboard", "--json"]);
    expect(JSON.parse(piped.stdout)).toEqual({ url: `${link.url}/`, opened: false });
    expect(piped.stderr).toContain("on a terminal");
  });

  it("a read-only client gets a token of scope read", async () => {
    const reader = linkIn(await onTerminal(bench, ["dashboard"], { STACKWARDEN_READ_ONLY: "true" }));
    expect(await (await reader.get("/api/v1/access")).json()).toMatchObject({ scope: "read" });
  });

  it.runIf(process.platform === "linux")(
    "the browser is opened through a file of mode 0600, and stop removes that file",
    async () => {
      const opened = join(bench.folder, "opened");
      const browser = join(bench.folder, "xdg-open");
      writeFileSync(browser, `#!/bin/sh\nprintf '%s' "$1" > ${opened}.part && mv ${opened}.part ${opened}\n`, {
        mode: 0o755,
      });
      const env = { DISPLAY: ":0", STACKWARDEN_PROGRAM_DIRS: `${bench.folder}:/usr/bin:/bin` };
      const { stdout, stderr } = await run(bench, ["dashboard"], env);
      expect(stderr).toContain("Opened in the browser.");
      expect(stdout).not.toContain("token");
      const argument = await until("the browser starts", () => {
        try {
          return readFileSync(opened, "utf8");
        } catch {
          return undefined;
        }
      });
      const page = new URL(argument);
      expect(page.protocol).toBe("file:");
      expect(statSync(page).mode & 0o777).toBe(0o600);
      const { url, get } = linkIn(readFileSync(page, "utf8"));
      expect(url).toBe(link.url);
      expect((await get("/api/v1/access")).status).toBe(200);
      await run(bench, ["server", "stop", "--force"]);
      expect(() => statSync(page)).toThrow();
      await expect(fetch(link.url)).rejects.toThrow();
    },
  );
});

it("the link names the address of a running serve, and the error without an address names the remedy", async () => {
  const bench = new TestBench();
  try {
    for (const args of [[], ["--no-address"]]) {
      const { child, exited, stdout } = spawnServe(bench, ...args);
      await until("the server listens", () => stdout().includes("\n"));
      const { url } = JSON.parse(stdout()) as { url?: string };
      if (url === undefined) expect((await run(bench, ["dashboard"])).stderr).toMatch(/SERVER_IN_USE.*--no-address/s);
      else {
        const link = linkIn(await onTerminal(bench, ["dashboard"]));
        expect(link.url).toBe(url);
        expect((await link.get("/api/v1/access")).status).toBe(200);
      }
      child.kill("SIGTERM");
      await exited;
    }
  } finally {
    await bench.close();
  }
});
