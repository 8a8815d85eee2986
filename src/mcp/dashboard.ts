/**
 * The dashboard as an MCP App (extension `io.modelcontextprotocol/ui`): a page that the host of the client displays.
 */
import type { ClientCapabilities, ReadResourceResult, Resource, Tool } from "@modelcontextprotocol/sdk/types.js";
import { dashboardPage } from "../dashboard/page.js";
import type { StackSettings } from "../stack/settings.js";

export const DASHBOARD_URI = "ui://stackwarden/dashboard";
const EXTENSION = "io.modelcontextprotocol/ui";
const MIME_TYPE = "text/html;profile=mcp-app";
/**
 * The only tool whose result opens the page. It is not health_status: agents call that tool repeatedly, and each call
 * would open another page.
 */
const TOOL = "list_stacks";

/** Declares no origins: the page loads no external resources and communicates only with the host. */
const META = { ui: { csp: {}, prefersBorder: true } };

export const DASHBOARD: Resource = {
  uri: DASHBOARD_URI,
  name: "dashboard",
  title: "Dashboard",
  description:
    "A page for people: stacks, health, diagnosis, use against limits, events, live logs; start, stop, restart, limits, commands, snapshots.",
  mimeType: MIME_TYPE,
  _meta: META,
};

/** True when the client can display MCP Apps. */
export function showsApps(client: ClientCapabilities | undefined): boolean {
  const extension = client?.extensions?.[EXTENSION] as { mimeTypes?: unknown } | undefined;
  return Array.isArray(extension?.mimeTypes) && extension.mimeTypes.includes(MIME_TYPE);
}

export function withDashboard(tool: Tool): Tool {
  return tool.name === TOOL ? { ...tool, _meta: { ...tool._meta, ui: { resourceUri: DASHBOARD_URI } } } : tool;
}

/** @param readOnly hides all actions on the page */
export async function readDashboard(
  readOnly: boolean,
  commands: StackSettings["commands"],
): Promise<ReadResourceResult> {
  const text = await dashboardPage({ door: "mcp-app", scope: readOnly ? "read" : "operate", commands });
  return { contents: [{ uri: DASHBOARD_URI, mimeType: MIME_TYPE, text, _meta: META }] };
}
