/** The built server, a real process with limits and a real browser: the page shows what the kernel reports. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { APP, appCompose, BINARY, TestBench } from "../e2e/support/bench.js";
import { NO_CHROMIUM, sharedBrowser } from "./support/browser.js";

describe.skipIf(NO_CHROMIUM)("dashboard of a real stack", () => {
  let bench: TestBench;
  let server: ChildProcess;
  let page: Page | undefined;
  let places: { dashboard: string; rest: string; token_file: string };

  // For each attempt: the test expects a server without a project.
  beforeEach(async () => {
    bench = new TestBench();
    bench.project("shop", {
      "compose.yaml": appCompose("    mem_limit: 256m\n    cpus: 0.5\n"),
      "app.js": APP,
    });
    const env = { PATH: process.env.PATH ?? "", ...bench.environment() };
    server = spawn(process.execPath, [BINARY, "serve", "--port", "0", "--json"], {
      cwd: bench.projects,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    bench.pids.push(server.pid as number);
    const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
    places = JSON.parse(((await once(lines, "line")) as [string])[0]);
  });
  afterEach(async () => {
    // The browser may have crashed.
    await page?.close().catch(() => undefined);
    server?.kill("SIGTERM");
    if (server?.exitCode === null) await once(server, "exit");
    await bench.close();
  });

  it("the page shows a real stack's start, load, limits, crash and stop", async () => {
    const token = readFileSync(places.token_file, "utf8").trim();
    page = await (await sharedBrowser()).newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(`${places.dashboard}#token=${token}`);
    await page.getByText("No project yet.").waitFor();
    const started = await fetch(`${places.rest}/projects/shop/start`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(started.status).toBe(200);

    const card = page.locator('.card[data-service="app"]');
    await card.getByText("Healthy").waitFor();
    await page.locator(".line", { hasText: "listening on" }).waitFor();
    const link = card.getByRole("link");
    const address = (await link.getAttribute("href")) ?? "";
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    // Real load is shown against the real limit.
    await fetch(`${address}/cpu?ms=1500`);
    await expect
      .poll(async () => Number.parseFloat((await card.locator(".plot .value").first().textContent()) ?? ""), {
        timeout: 15_000,
      })
      .toBeGreaterThan(0.02);
    await fetch(`${address}/say?text=${encodeURIComponent("<i>said</i>")}`);
    await page.locator(".line", { hasText: "<i>said</i>" }).waitFor();

    const enforced = (await card.getByText("/ 0.5 cores").count()) > 0;
    await page.getByRole("button", { name: "Limits app" }).click();
    await page.getByLabel("CPU cores").fill("0.25");
    await page.getByRole("button", { name: "Set limits" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    if (enforced) await card.getByText("/ 0.25 cores").waitFor();
    else await card.getByText(/Limits of .* not enforced/).waitFor();

    await fetch(`${address}/exit?code=7`);
    await page.locator(".events li", { hasText: "exited with code 7" }).first().waitFor();
    await page.locator(".events li", { hasText: "app is healthy" }).first().waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Start", exact: true }).waitFor();
    await card.locator(".badge", { hasText: "Stopped" }).waitFor();
  });
});
