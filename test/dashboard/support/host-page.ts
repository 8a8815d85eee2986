/** A web page that shows an MCP App with the official host bridge, in a frame that may only run scripts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";

/** Content security policy that a host uses when the app declares no origin (specification 2026-01-26). */
const RESTRICTIVE =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; connect-src 'none'";

/** The test provides `hostCall`, which forwards tool calls to the server. */
const SCRIPT = `
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";
const frame = document.createElement("iframe");
frame.title = "app";
frame.setAttribute("sandbox", "allow-scripts");
frame.style.cssText = "width: 1000px; height: 900px; border: 0";
document.body.append(frame);
const bridge = new AppBridge(
  null,
  { name: "test host", version: "1.0.0" },
  { openLinks: {}, serverTools: {}, logging: {} },
  { hostContext: { theme: "dark", displayMode: "inline", styles: { variables: { "--font-sans": "serif" } } } },
);
window.host = { bridge, opened: [], sizes: [], app: null };
bridge.oncalltool = (params) => window.hostCall(params);
bridge.onopenlink = async ({ url }) => { window.host.opened.push(url); return {}; };
bridge.onsizechange = (size) => { window.host.sizes.push(size); };
bridge.oninitialized = async () => {
  window.host.app = bridge.getAppVersion();
  await bridge.sendToolInput({ arguments: {} });
  await bridge.sendToolResult(await window.hostCall({ name: "list_stacks", arguments: {} }));
};
await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
frame.src = "/view";
`;

let bundle: Promise<string> | undefined;

/** The host's script for a browser. */
async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: SCRIPT, resolveDir: process.cwd() },
    bundle: true,
    write: false,
    format: "esm",
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

/** @param view HTML of the app, as resources/read returned it */
export async function hostPage(view: string): Promise<{ url: string; close(): Promise<void> }> {
  bundle ??= bundled();
  const script = await bundle;
  const server = createServer(({ url }, response) => {
    if (url === "/view") {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": RESTRICTIVE });
      response.end(view);
    } else if (url === "/host.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" });
      response.end(script);
    } else {
      response.writeHead(200, { "Content-Type": "text/html" });
      response.end('<!doctype html><html><body><script type="module" src="/host.js"></script></body></html>');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
