/** The dashboard in a real browser, on the production HTTP server and the real domain. */
import { readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { dashboardPage } from "../../src/dashboard/page.js";
import { call, eventsOf } from "../support/domain.js";
import { NO_CHROMIUM, sharedBrowser } from "./support/browser.js";
import { type Shop, shop } from "./support/shop.js";

const WIDE = { width: 1280, height: 900 };
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

describe.skipIf(NO_CHROMIUM)("the dashboard", () => {
  let one: Shop;
  let context: BrowserContext;
  /** Page of most tests: each signs in and out again, because a new page costs more than many of the tests do in it. */
  let shared: Page;
  /** Page of the test. */
  let page: Page;
  /** Errors and policy violations that the page logged. */
  let complaints: string[];
  let requested: { url: string; authorization: string | undefined }[];
  /** Whether the stack and the page can be used by the next test: a repeated attempt begins with new ones. */
  let isReusable = false;

  let end = async (): Promise<void> => undefined;
  const begin = async (): Promise<void> => {
    const [browser, made] = await Promise.all([sharedBrowser(), shop()]);
    end = made.close;
    one = made;
    one.domain.runtime.scripts = { backend: { stats: { cpu_cores: 0.25, memory_mb: 480 }, prints: "backend speaks" } };
    await one.start();
    context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce" });
    end = async () => {
      // The browser may have crashed.
      await context.close().catch(() => undefined);
      await made.close();
    };
    shared = await newPage();
  };
  afterAll(() => end());
  const newPage = async (): Promise<Page> => {
    const made = await context.newPage();
    made.setDefaultTimeout(20_000);
    made.on("pageerror", (error) => complaints.push(error.message));
    made.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("the server responded with a status"))
        complaints.push(message.text());
    });
    made.on("request", (request) =>
      requested.push({ url: request.url(), authorization: request.headers().authorization }),
    );
    return made;
  };
  beforeEach(async () => {
    complaints = [];
    requested = [];
    if (!isReusable) {
      const former = end;
      end = async () => undefined;
      await former();
      await begin();
    }
    isReusable = false;
    page = shared;
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") return;
    if (page !== shared) await page.close();
    else if (await button("Sign out").isVisible()) await signOut();
    // Chromium repeats requests when the machine's network interfaces change, as containers of other tests cause.
    expect(complaints.filter((complaint) => !complaint.includes("ERR_NETWORK_CHANGED"))).toEqual([]);
    isReusable = true;
  });

  /** Chromium ends a navigation when the machine's network interfaces change, as containers of other tests cause. */
  const open = async (url = one.http.url): Promise<void> => {
    for (let left = 5; ; left -= 1)
      try {
        await page.goto(url);
        return;
      } catch (error) {
        if (left === 0 || !(error as Error).message.includes("ERR_NETWORK_CHANGED")) throw error;
      }
  };
  const signOut = async (): Promise<void> => {
    await button("Sign out").click();
    await page.getByLabel("Token").waitFor();
  };
  const enter = async (token = one.http.operate): Promise<void> => {
    if (!(await page.getByLabel("Token").isVisible())) await open();
    await page.getByLabel("Token").fill(token);
    await page.getByLabel("Token").press("Enter");
    await card("backend").waitFor();
  };
  const card = (name: string) => page.locator(`.card[data-service="${name}"]`);
  const button = (name: string) => page.getByRole("button", { name, exact: true });
  const dialog = () => page.getByRole("dialog");
  const line = (text: string) => page.locator(".line", { hasText: text });
  const actors = async (type: "service_restarted" | "limits_changed" | "stack_stopped" | "stack_starting") =>
    (await eventsOf(one.manager, "shop", type)).map(({ actor, service }) => `${service ?? "stack"} by ${actor}`);
  /** Most of the page's elements. The first test with axe-core checks them. */
  const LISTS = [".lines", ".events"];
  /** @param unchanged parts of the page that have been checked before */
  const violations = async (unchanged = LISTS): Promise<string[]> => {
    if (await page.evaluate("window.axe === undefined")) await page.evaluate(readFileSync(AXE, "utf8"));
    const context = JSON.stringify({ exclude: unchanged });
    const found = (await page.evaluate(`axe.run(${context}, { resultTypes: ['violations'] })`)) as {
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
      passes: unknown[];
    };
    // axe-core has checked the page.
    expect(found.passes.length).toBeGreaterThan(10);
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
    );
  };

  it("the page asks for the token, keeps it only in its tab, and never puts it into an address", async () => {
    await open();
    expect(await page.getByLabel("Token").evaluate((input) => input === input.ownerDocument.activeElement)).toBe(true);
    await page.getByLabel("Token").fill("wrong");
    await button("Open").click();
    await page.getByText("This token is not valid.").waitFor();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
    await page.getByLabel("Token").fill(`${one.http.operate}\n`);
    await button("Open").click();
    await card("backend").waitFor();
    await page.reload();
    await card("backend").waitFor();
    expect(await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")).toEqual([0, 1, ""]);
    expect(requested.filter(({ url }) => url.includes(one.http.operate))).toEqual([]);
    expect(requested.filter(({ url }) => !url.startsWith(one.http.url) && !url.startsWith("data:"))).toEqual([]);
    expect(requested.some(({ authorization }) => authorization === `Bearer ${one.http.operate}`)).toBe(true);
    await signOut();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
  });

  it("the page refuses a malformed token in the fragment, and reports a missing host", async () => {
    await open(`${one.http.url}/#token=%E0%A4%A`);
    await expect.poll(() => page.getByRole("alert").textContent()).toBe("This token is not valid.");
    expect(page.url()).toBe(`${one.http.url}/`);
    await page.goto("about:blank");
    await page.setContent(await dashboardPage({ door: "mcp-app" }));
    await expect.poll(() => page.getByRole("alert").textContent()).toContain("The host of this page");
  });

  it("a token of the fragment is removed from the address, and a revoked token ends the view", async () => {
    const token = await one.http.tokens.add("passing", "operate");
    await open(`${one.http.url}/#token=${token}`);
    await card("backend").waitFor();
    expect(page.url()).toBe(`${one.http.url}/`);
    await page.getByText("token passing").waitFor();
    await one.http.tokens.remove("passing");
    await page.getByText("This token is not valid.").waitFor();
    // The server closed the requests that used the token.
    complaints = complaints.filter((complaint) => !complaint.includes("ERR_INCOMPLETE_CHUNKED_ENCODING"));
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
  });

  it("a hidden page holds no connection, and shows the missed changes when it is visible again", async () => {
    const waiting = page.waitForRequest((request) => request.url().includes("/events?after="));
    await enter();
    await line("backend speaks").first().waitFor();
    await waiting;
    const see = (state: "hidden" | "visible"): Promise<unknown> =>
      page.evaluate(
        `Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
         document.dispatchEvent(new Event("visibilitychange"))`,
      );
    const ended = Promise.all(
      ["/logs?", "/events?"].map((path) =>
        page.waitForEvent("requestfailed", (request) => request.url().includes(path)),
      ),
    );
    await see("hidden");
    await ended;
    one.print("backend", "unseen so far");
    await see("visible");
    await line("unseen so far").waitFor();
    await page.locator(".connection", { hasText: "Live" }).waitFor();
  });

  it("axe-core finds no violation in light and dark mode, on wide and narrow screens", async () => {
    await open();
    expect(await violations([])).toEqual([]);
    await enter();
    one.print("backend", "a warning", "stderr");
    await line("a warning").waitFor();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violations([]), colorScheme).toEqual([]);
      await button("Limits redis").click();
      expect(await violations(), `${colorScheme} dialog`).toEqual([]);
      await page.keyboard.press("Escape");
    }
    expect(await button("Logs redis").evaluate((element) => element.ownerDocument.getAnimations().length)).toBe(0);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await violations([]), "phone").toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
    for (const part of [".lines", ".events", ".card"])
      expect((await page.locator(part).first().boundingBox())?.height, part).toBeGreaterThan(200);
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize(WIDE);
  });

  it("markup in the text of services is shown as text", async () => {
    const attack = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload=window.hacked=1>`;
    // No other problem is reported.
    const { scripts } = one.domain.runtime;
    one.domain.runtime.scripts = {};
    await enter();
    one.print("frontend", attack);
    one.domain.runtime.scripts.frontend = { probe: () => `500 ${attack}` };
    await line(attack).waitFor();
    await card("frontend").getByText(attack).waitFor();
    await page.locator(".events li", { hasText: attack }).first().waitFor();
    const diagnosis = page.getByRole("region", { name: "Diagnosis" });
    await diagnosis.locator("li", { hasText: attack }).waitFor();
    await diagnosis.getByText(/^Next: /).waitFor();
    expect(await violations([]), "while something is wrong").toEqual([]);
    one.domain.runtime.scripts = scripts;
    await card("frontend").getByText("Healthy").waitFor();
    await diagnosis.waitFor({ state: "hidden" });
    expect(await page.evaluate("[window.hacked, document.querySelectorAll('main img, main script').length]")).toEqual([
      undefined,
      0,
    ]);
    // The browser refuses markup that a defect would insert.
    const refused = await page.evaluate(
      "try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }",
    );
    expect(refused).toBe("TypeError");
    complaints = complaints.filter((complaint) => !complaint.includes("TrustedHTML"));
  });

  it("the page shows projects, services, health, limits with usage, and events", async () => {
    await enter();
    await page.getByRole("navigation", { name: "Projects" }).getByText("4 services up").waitFor();
    await card("backend").getByText("Healthy").waitFor();
    await card("backend").getByText("well · 1 ms").waitFor();
    await card("backend").getByText("0.25 / 0.5 cores").waitFor();
    await page.getByRole("img", { name: /^Memory: 480 MB now, .* limit 512 MB, close to it$/ }).waitFor();
    // A line needs two samples.
    await expect
      .poll(() => card("backend").locator("path.use").first().getAttribute("d"), { timeout: 10_000 })
      .toMatch(/^M[\d.]+ [\d.]+L[\d.]+ [\d.]+/);
    await page.locator(".events li", { hasText: "Every service is healthy." }).first().waitFor();
    await page.locator(".events li", { hasText: "by claude-code/2.1#a1b2" }).first().waitFor();
    await page.getByRole("navigation").getByRole("button", { name: /blog/ }).click();
    await page.getByRole("heading", { name: "blog" }).waitFor();
    await button("Start").waitFor();
    await page.getByText("The stack of blog is not running").waitFor();
    expect(await card("backend").count()).toBe(0);
  });

  it("the page restarts, limits, stops and starts after a confirmation", async () => {
    await enter();
    await button("Restart backend").click();
    await dialog().getByText("Also restart what depends on it: frontend").waitFor();
    await page.keyboard.press("Escape");
    expect(await actors("service_restarted")).toEqual([]);
    // Focus returns to the button.
    expect(await button("Restart backend").evaluate((element) => element === element.ownerDocument.activeElement)).toBe(
      true,
    );
    await page.keyboard.press("Enter");
    await dialog().getByRole("checkbox").check();
    await dialog().getByRole("button", { name: "Restart" }).click();
    await page.getByRole("status").getByText("backend runs as a fresh instance").waitFor();
    expect(await actors("service_restarted")).toEqual(["backend by rest#writer"]);
    expect(one.domain.runtime.service("frontend").generation).toBe(2);

    await button("Limits backend").click();
    await dialog().getByLabel("CPU cores").fill("0.75");
    await dialog().getByLabel("Memory in MB").fill("100");
    await dialog().getByLabel("Memory in MB").press("Enter");
    await dialog()
      .getByText(/limits of backend were not changed: .*usage/)
      .waitFor();
    await dialog()
      .getByRole("checkbox", { name: /below current usage/ })
      .check();
    await dialog().getByRole("button", { name: "Set limits" }).click();
    await card("backend").getByText("480 / 100 MB").waitFor();
    await card("backend").getByText("0.25 / 0.75 cores").waitFor();
    expect(await actors("limits_changed")).toEqual(["backend by rest#writer"]);

    await button("Stop").click();
    await dialog().getByText("This ends postgres, redis, backend, frontend.").waitFor();
    // Cancel has the focus, so that Enter does not stop the stack.
    await page.keyboard.press("Enter");
    expect(await actors("stack_stopped")).toEqual([]);
    await button("Stop").click();
    await dialog().getByRole("button", { name: "Stop" }).click();
    await button("Start").waitFor();
    expect(await actors("stack_stopped")).toEqual(["stack by rest#writer"]);
    await button("Start").click();
    await page.locator(".project .badge", { hasText: "Running" }).waitFor();
    expect((await actors("stack_starting")).at(-1)).toBe("stack by rest#writer");
  });

  it("the page stops and starts one service, and shows the dependencies", async () => {
    await enter();
    const columns = page.getByRole("region", { name: "Dependencies" }).getByRole("listitem");
    await expect.poll(() => columns.allInnerTexts()).toHaveLength(3);
    expect((await columns.allInnerTexts()).map((text) => text.match(/[a-z]+/g))).toEqual([
      ["postgres", "redis"],
      ["backend"],
      ["frontend"],
    ]);
    await card("backend").getByText("needs postgres, redis").waitFor();
    // The page reads the definition again after an incomplete response.
    await page.route("**/check", (route) => route.fulfill({ body: '{"project":' }), { times: 1 });
    await button("Stop frontend").click();
    await dialog().getByText("This ends frontend.").waitFor();
    await dialog().getByRole("button", { name: "Stop" }).click();
    await card("frontend").waitFor({ state: "detached" });
    await card("backend").getByText("Healthy").waitFor();
    const leftOut = page.getByRole("region", { name: "Services that do not run" });
    await leftOut.getByText("frontend").first().waitFor();
    expect(await violations(), "with a service that does not run").toEqual([]);
    await button("Start frontend").click();
    await card("frontend").getByText("Healthy").waitFor();
    await leftOut.waitFor({ state: "hidden" });
  });

  it("the page runs commands, shows output and exit code, and cancels a running one", async () => {
    const ran: unknown[] = [];
    one.domain.runtime.scripts.backend = {
      exec: async ({ command, onOutput, signal }) => {
        ran.push(command);
        if (command[0] === "sleep") {
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          ran.push("ended");
          return { exitCode: null, signal: "SIGTERM" };
        }
        await onOutput("stdout", Buffer.from("<b>12 passed</b>\nhush-hush-1\n"));
        await onOutput("stderr", Buffer.from("1 failed\n"));
        return { exitCode: command[0] === "pytest" ? 3 : 0 };
      },
    };
    try {
      await enter();
      const commands = page.getByRole("region", { name: "Commands", exact: true });
      // The service that declares commands is selected.
      await commands.getByRole("button", { name: "test", exact: true }).click();
      await commands.getByText(/^test in backend: Exit code 3 after/).waitFor();
      const stdout = await commands.getByRole("region", { name: "stdout of test" }).textContent();
      expect(stdout).toContain("<b>12 passed</b>");
      expect(stdout).not.toContain("hush-hush-1");
      expect(await commands.getByRole("region", { name: "stderr of test" }).textContent()).toContain("1 failed");
      expect(await violations(), "with the output of a command").toEqual([]);
      const input = commands.getByRole("textbox", { name: "Command" });
      await input.fill("echo $MODE");
      await commands.getByLabel("In a shell").check();
      await input.press("Enter");
      await commands.getByText(/^echo \$MODE in backend: Exit code 0/).waitFor();
      await commands.getByLabel("In a shell").uncheck();
      await input.fill("echo 'open");
      await input.press("Enter");
      await commands.getByText(/has a quote that is not closed/).waitFor();
      await input.fill("sleep 1000");
      await commands.getByRole("button", { name: "Run" }).click();
      await commands.getByText(/sleep 1000 has been running in backend for/).waitFor();
      expect(await commands.getByRole("button", { name: "test", exact: true }).isDisabled()).toBe(true);
      await commands.getByRole("button", { name: "Cancel" }).click();
      await commands.getByText("sleep 1000 was cancelled.").waitFor();
      await expect.poll(() => ran.at(-1)).toBe("ended");
      expect(ran.slice(0, 2)).toEqual([["pytest"], ["/bin/sh", "-c", "echo $MODE"]]);
    } finally {
      one.domain.runtime.scripts.backend = {};
    }
  });

  it("the page offers only the commands that the operator permits", async () => {
    for (const commands of ["declared", "off"] as const) {
      const strict = await shop({ commands });
      try {
        await strict.start();
        page = await newPage();
        await open(`${strict.http.url}/#token=${strict.http.operate}`);
        await card("backend").getByText("Healthy").waitFor();
        const panel = page.getByRole("region", { name: "Commands", exact: true });
        await expect.poll(() => panel.isVisible()).toBe(commands === "declared");
        if (commands === "off") continue;
        expect(await panel.getByRole("textbox").count()).toBe(0);
        await panel.getByRole("button", { name: "migrate" }).click();
        await panel.getByText(/^migrate in backend: Exit code 0/).waitFor();
        await panel.getByLabel("Service of the command").selectOption("redis");
        await panel.getByText("The compose file declares no command for this service.").waitFor();
      } finally {
        await page.close();
        await strict.close();
      }
    }
  });

  it("the page saves, restores and deletes snapshots after a confirmation", async () => {
    await enter();
    const snapshots = page.getByRole("region", { name: "Snapshots" });
    await snapshots.getByText("None yet.").waitFor();
    await button("Save snapshot").click();
    await dialog().getByLabel("Name").fill("no/name");
    await dialog().getByLabel("Name").press("Enter");
    await dialog().getByText(/name/).last().waitFor();
    await dialog().getByLabel("Name").fill("before-migration");
    await dialog().getByLabel("Name").press("Enter");
    await snapshots.getByText("before-migration").first().waitFor();
    await snapshots.getByText(/24 MB · db-data/).waitFor();
    // Snapshots of another client appear as well.
    await one.manager.saveSnapshot({ project: "shop", name: "by-an-agent" }, call());
    await snapshots.getByText("by-an-agent").first().waitFor();
    expect(await violations(), "with snapshots").toEqual([]);
    await button("Delete by-an-agent").click();
    // Cancel has the focus, so that Enter does not delete.
    await page.keyboard.press("Enter");
    await button("Delete by-an-agent").click();
    await dialog().getByRole("button", { name: "Delete" }).click();
    await snapshots.getByText("by-an-agent").first().waitFor({ state: "detached" });
    await button("Restore before-migration").click();
    await dialog()
      .getByText(/replaces the current data of db-data/)
      .waitFor();
    await dialog().getByText("This stops the stack. Start it again afterwards.").waitFor();
    expect(await violations(), "with the question").toEqual([]);
    await dialog().getByRole("button", { name: "Stop and restore" }).click();
    // The message of the save also names the snapshot.
    await page
      .getByRole("status")
      .getByText(/restored from the snapshot before-migration/)
      .waitFor();
    await page.locator(".project .badge", { hasText: "Stopped" }).waitFor();
    const { snapshots: kept } = await one.manager.snapshots("shop");
    // The current data was saved first.
    expect(kept.map(({ name }) => name)).toEqual(["before-migration", expect.stringMatching(/^\d{8}-\d{6}$/)]);
    await button("Start").click();
    await page.locator(".project .badge", { hasText: "Running" }).waitFor();
  });

  it("the page shows names of environment variables, watched services and a missing folder", async () => {
    await one.manager.start({ project: "shop", watch: true }, call());
    await enter();
    await card("backend").getByText("2 environment variables").click();
    expect(await card("backend").locator("details li").allInnerTexts()).toEqual(["MODE", "SECRET_KEY"]);
    expect(await page.content()).not.toContain("hush-hush-1");
    await page.getByText("watching the files of backend").waitFor();
    await one.manager.start({ project: "shop", watch: false }, call());
    const folder = `${one.domain.root}/blog`;
    await one.manager.start({ project: "blog" }, call());
    await one.manager.stop({ project: "blog" }, call());
    renameSync(folder, `${folder}-moved`);
    try {
      const blog = page.getByRole("navigation").getByRole("button", { name: /blog/ });
      await blog.getByText("folder is gone").waitFor();
      await blog.click();
      await page.getByText("stackwarden prune blog").waitFor();
      expect(await button("Start").isDisabled()).toBe(true);
    } finally {
      renameSync(`${folder}-moved`, folder);
    }
  });

  it("many stopped projects are folded, except the selected one", async () => {
    const names = ["one", "two", "three", "four", "five", "six", "seven"];
    const many = await shop({ stopped: names });
    page = await newPage();
    try {
      await open(`${many.http.url}/#token=${many.http.operate}`);
      const projects = page.getByRole("navigation", { name: "Projects" });
      await projects.getByText("6 stopped").waitFor();
      expect(await projects.getByRole("button").count()).toBe(1);
      await projects.getByText("6 stopped").click();
      await projects.getByRole("button", { name: /three/ }).click();
      await page.getByRole("heading", { name: "three" }).waitFor();
      await projects.locator("> ul").getByRole("button", { name: /three/ }).waitFor();
    } finally {
      await page.close();
      await many.close();
    }
  });

  it("a failed action is shown until it is dismissed", async () => {
    await enter();
    one.domain.runtime.scripts.redis = { startErrors: [new Error("no such program")] };
    await button("Restart redis").click();
    await dialog().getByRole("button", { name: "Restart" }).click();
    const told = page.getByRole("alert").getByText("redis was not restarted.");
    await told.waitFor();
    await button("Dismiss").click();
    await told.waitFor({ state: "detached" });
    await card("redis")
      .getByText(/Healthy|Crashed/)
      .waitFor();
  });

  it("a token of scope read has the changing controls disabled or hidden", async () => {
    await enter(one.http.read);
    await page.getByText("read only").waitFor();
    for (const name of ["Restart backend", "Limits backend", "Stop", "Save snapshot"])
      expect(await button(name).isDisabled()).toBe(true);
    expect(await page.getByRole("region", { name: "Commands" }).isVisible()).toBe(false);
    expect(await button("Logs backend").isEnabled()).toBe(true);
  });

  it("the page follows, filters, pauses and highlights logs", async () => {
    await enter();
    await line("backend speaks").first().waitFor();
    one.print("backend", "GET /items 200");
    one.print("redis", "Ready to accept connections");
    one.print("backend", "ERROR: out of luck", "stderr");
    await line("out of luck").getByText("err", { exact: true }).waitFor();
    await page.getByLabel("Filter").fill("error:");
    await expect.poll(() => page.locator(".line").allInnerTexts()).toEqual([expect.stringContaining("out of luck")]);
    expect(await page.locator("mark").textContent()).toBe("ERROR:");
    one.print("backend", "all is well");
    one.print("redis", "another error: no memory");
    await line("another error: no memory").waitFor();
    expect(await page.locator(".line").count()).toBe(2);
    await page.getByLabel("Filter").fill("(");
    await page.getByLabel("Regex").check();
    await page.getByRole("region", { name: "Logs" }).getByText(/grep/).waitFor();
    await page.getByLabel("Filter").fill("^Ready .* connections$");
    await expect.poll(() => page.locator(".line").count()).toBe(1);
    await page.getByLabel("Regex").uncheck();
    await page.getByLabel("Filter").fill("");
    await page.getByLabel("Output").selectOption("stderr");
    await expect.poll(() => page.locator(".line:not(.err)").count()).toBe(0);
    await line("out of luck").waitFor();
    await page.getByLabel("Output").selectOption("");
    await button("Logs redis").click();
    await line("another error: no memory").waitFor();
    expect(await line("backend speaks").count()).toBe(0);
    await button("Pause").click();
    one.print("redis", "unseen while paused");
    await button("Pause").click();
    await line("unseen while paused").waitFor();
    // The page keeps a bounded number of lines, and the newest is in view.
    one.print("redis", Array.from({ length: 2500 }, (_, index) => `flood ${index}`).join("\n"));
    await line("flood 2499").waitFor();
    expect(await page.locator(".line").count()).toBeLessThanOrEqual(2000);
    await expect.poll(() => line("flood 2499").isVisible()).toBe(true);
  });

  it("the page filters logs by level and period, and downloads the shown lines", async () => {
    await enter();
    one.print("backend", "WARN the queue is long");
    one.print("backend", "INFO a request came");
    await line("a request came").waitFor();
    await page.getByLabel("Level").selectOption("warning");
    await line("the queue is long").waitFor();
    await expect.poll(() => line("a request came").count()).toBe(0);
    await page.getByLabel("Period").selectOption("5m");
    await line("the queue is long").waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), button("Download").click()]);
    expect(file.suggestedFilename()).toBe("shop.log");
    const text = readFileSync(await file.path(), "utf8");
    expect(text).toMatch(/^\d{4}-\S+Z backend stdout WARN the queue is long$/m);
    expect(text).not.toContain("a request came");
    one.print("backend", "ERROR no more room");
    await line("no more room").waitFor();
  });

  it("the page reports an unreachable server and reconnects", async () => {
    await enter();
    await page.locator(".connection", { hasText: "Live" }).waitFor();
    await context.setOffline(true);
    await page.locator(".connection", { hasText: "The server cannot be reached." }).waitFor();
    complaints = complaints.filter((complaint) => !complaint.includes("ERR_INTERNET_DISCONNECTED"));
    await context.setOffline(false);
    await page.locator(".connection", { hasText: "Live" }).waitFor();
    complaints = complaints.filter((complaint) => !complaint.includes("ERR_INTERNET_DISCONNECTED"));
  });
});

describe("dashboard document", () => {
  it("the document is small, loads no resources, and has a strict content security policy", async () => {
    const one = await shop();
    try {
      const { status, headers, text } = await one.http.send("/", { token: null });
      expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
      expect(gzipSync(text).byteLength).toBeLessThan(25_000);
      expect(text).not.toMatch(/(src|href)="(?!data:)/);
      expect(text).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
      const policy = String(headers["content-security-policy"]);
      expect(policy).toMatch(
        /^default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; connect-src 'self';/,
      );
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
      expect((await one.http.send("/", { token: null, headers: { host: "evil.example" } })).status).toBe(403);
      expect((await one.http.send("/", { token: null, method: "POST", body: {} })).status).toBe(401);
      // Every other path requires the token.
      expect((await one.http.send("/index.html", { token: null })).status).toBe(401);
      expect(await dashboardPage({ door: "mcp-app", scope: "read" })).toContain(
        'data-door="mcp-app" data-scope="read"',
      );
    } finally {
      await one.close();
    }
  });
});
