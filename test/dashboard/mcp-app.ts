/** The dashboard as an MCP App: which clients it is offered to, and how it works through the official host bridge. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { CallToolRequest } from "@modelcontextprotocol/sdk/types.js";
import type { FrameLocator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsOf } from "../support/domain.js";
import { type HttpFixture, httpFixture } from "../support/http-fixture.js";
import { COMPILE_ONCE } from "../support/output-schemas.js";
import { scriptedManager, serviceReport } from "../support/scripted-manager.js";
import { NO_CHROMIUM, sharedBrowser } from "./support/browser.js";
import { hostPage } from "./support/host-page.js";
import { type Shop, shop } from "./support/shop.js";

const URI = "ui://stackwarden/dashboard";
const MIME_TYPE = "text/html;profile=mcp-app";

async function client(http: HttpFixture, token: string, mimeTypes: string[] | null): Promise<Client> {
  const extensions = mimeTypes === null ? {} : { extensions: { "io.modelcontextprotocol/ui": { mimeTypes } } };
  const made = new Client({ name: "test-host", version: "1.0.0" }, { capabilities: extensions, ...COMPILE_ONCE });
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const transport = new StreamableHTTPClientTransport(new URL(`${http.url}/mcp`), { requestInit });
  await made.connect(transport as Parameters<Client["connect"]>[0]);
  return made;
}

const view = async (from: Client) => {
  const { contents } = await from.readResource({ uri: URI });
  return contents[0] as { uri: string; mimeType: string; text: string; _meta: { ui: object } };
};

describe("offer to the client", () => {
  let http: HttpFixture;
  beforeAll(async () => {
    http = await httpFixture();
  });
  afterAll(() => http.close());

  it("the page is listed only for a client that supports MCP Apps", async () => {
    const shows = await client(http, http.operate, [MIME_TYPE]);
    const tools = (await shows.listTools()).tools;
    expect(tools.filter(({ _meta }) => _meta !== undefined).map(({ name, _meta }) => [name, _meta])).toEqual([
      ["list_stacks", { ui: { resourceUri: URI } }],
    ]);
    const [first] = (await shows.listResources()).resources;
    expect(first).toMatchObject({ uri: URI, mimeType: MIME_TYPE, _meta: { ui: { csp: {} } } });
    await shows.close();
    for (const mimeTypes of [null, [], ["text/html"]]) {
      const other = await client(http, http.operate, mimeTypes);
      expect((await other.listTools()).tools.every(({ _meta }) => _meta === undefined)).toBe(true);
      expect((await other.listResources()).resources.map(({ uri }) => uri)).not.toContain(URI);
      await other.close();
    }
  });

  it("the page has the scope of its connection", async () => {
    for (const [token, scope] of [
      [http.operate, "operate"],
      [http.read, "read"],
    ] as const) {
      const reader = await client(http, token, [MIME_TYPE]);
      const page = await view(reader);
      expect(page).toMatchObject({ uri: URI, mimeType: MIME_TYPE, _meta: { ui: { csp: {}, prefersBorder: true } } });
      expect(page.text).toMatch(/^<!doctype html>/);
      expect(page.text).toContain(`data-door="mcp-app" data-scope="${scope}"`);
      await reader.close();
    }
  });
});

describe.skipIf(NO_CHROMIUM)("page in a host", () => {
  /** Shows the server's page as a host does, and closes everything afterwards. */
  async function shown(
    http: HttpFixture,
    token: string,
    look: (app: FrameLocator, page: Page, calls: string[]) => Promise<void>,
  ): Promise<void> {
    const host = await client(http, token, [MIME_TYPE]);
    const served = await hostPage((await view(host)).text);
    const page = await (await sharedBrowser()).newPage({ viewport: { width: 1040, height: 940 } });
    page.setDefaultTimeout(20_000);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("favicon")) complaints.push(message.text());
    });
    const calls: string[] = [];
    try {
      await page.exposeFunction("hostCall", async (params: CallToolRequest["params"]) => {
        calls.push(params.name);
        return host.callTool(params);
      });
      await page.goto(served.url);
      await look(page.frameLocator("iframe"), page, calls);
      expect(complaints).toEqual([]);
    } finally {
      // The browser may have crashed.
      await page.close().catch(() => undefined);
      await served.close();
      await host.close();
    }
  }

  it("the page shows and changes stacks by tool calls alone", async () => {
    const one: Shop = await shop();
    try {
      one.domain.runtime.scripts = { backend: { prints: "backend speaks" } };
      await one.start();
      await shown(one.http, one.http.operate, async (app, page, calls) => {
        const card = app.locator('.card[data-service="backend"]');
        await card.getByText("Healthy").waitFor();
        await card.getByText("0.1 / 0.5 cores").waitFor();
        await app.locator(".line", { hasText: "backend speaks" }).waitFor();
        one.print("backend", "<b>live</b> through the host");
        await app.locator(".line", { hasText: "<b>live</b> through the host" }).waitFor();
        await app.getByRole("button", { name: "Restart backend" }).click();
        await app.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
        await app.getByText("backend runs as a fresh instance").waitFor();
        await app.locator(".events li", { hasText: "backend was restarted." }).waitFor();
        await app.getByRole("button", { name: "Limits backend" }).click();
        await app.getByLabel("CPU cores").fill("0.75");
        await app.getByLabel("CPU cores").press("Enter");
        await card.getByText("0.1 / 0.75 cores").waitFor();
        const [restarted] = await eventsOf(one.manager, "shop", "service_restarted");
        expect(restarted?.actor).toMatch(/^test-host\/1\.0\.0#/);
        expect(calls).toEqual(
          expect.arrayContaining([
            "list_stacks",
            "health_status",
            "get_stats",
            "get_events",
            "get_logs",
            "restart_service",
            "set_limits",
          ]),
        );
        // The page has the host's theme and reports its size.
        expect(await app.locator("html").evaluate((html) => html.style.colorScheme)).toBe("dark");
        expect(await page.evaluate("window.host.app")).toMatchObject({ name: "stackwarden dashboard" });
        expect(await page.evaluate("window.host.sizes.at(-1).height")).toBeGreaterThan(600);
        await page.evaluate("window.host.bridge.sendHostContextChange({ theme: 'light' })");
        await expect
          .poll(() => app.locator("html").evaluate((html) => html.style.colorScheme), { timeout: 5000 })
          .toBe("light");
        // The tool's arguments name the project.
        await page.evaluate("window.host.bridge.sendToolInput({ arguments: { project: 'blog' } })");
        await app.getByRole("heading", { name: "blog" }).waitFor();
        expect(await page.evaluate("window.host.bridge.teardownResource({})")).toEqual({});
      });
    } finally {
      await one.close();
    }
  });

  it("the page opens addresses through the host, and links only web addresses", async () => {
    const endpoint = (url: string) => ({ host: "127.0.0.1", host_port: 8000, container_port: 8000, url });
    const manager = scriptedManager({
      list: async () => [
        {
          project: "shop",
          folder: '/srv/"><img src=x onerror=hacked()>',
          state: "running",
          runtime: "local",
          source: "compose.yaml",
          started_at: null,
          services: {
            '<img src=x onerror="hacked()">': {
              ...serviceReport('<img src=x onerror="hacked()">'),
              endpoints: [endpoint("http://127.0.0.1:8000"), endpoint("javascript:alert(document.domain)")],
            },
          },
          notes: ["<script>hacked()</script>"],
        },
      ],
    });
    const http = await httpFixture({ manager });
    try {
      await shown(http, http.read, async (app, page) => {
        await app.getByRole("heading", { name: '<img src=x onerror="hacked()">' }).waitFor();
        await app.getByText("read only").waitFor();
        expect(await app.getByRole("button", { name: /^Restart/ }).isDisabled()).toBe(true);
        const links = app.locator(".links a");
        expect(await links.count()).toBe(1);
        await app.locator(".links code", { hasText: "javascript:alert(document.domain)" }).waitFor();
        await links.click();
        await expect.poll(() => page.evaluate("window.host.opened")).toEqual(["http://127.0.0.1:8000"]);
        expect(await app.locator("main img").count()).toBe(0);
      });
    } finally {
      await http.close();
    }
  });
});
