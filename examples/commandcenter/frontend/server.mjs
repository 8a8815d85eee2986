/** Serves the page; files are read for every request, so that a change shows at the next reload. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { readOptions } from "./options.mjs";
import { page } from "./page.mjs";

const FILES = new Map([
  ["/client.js", "text/javascript; charset=utf-8"],
  ["/style.css", "text/css; charset=utf-8"],
]);

const log = (level, msg, fields = {}) =>
  process.stdout.write(`${JSON.stringify({ ts: new Date().toISOString(), level, msg, ...fields })}\n`);

let options;
try {
  options = readOptions(process.argv.slice(2), process.env);
} catch (error) {
  log("error", error.message);
  process.exit(2);
}

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": `default-src 'none'; script-src 'self'; style-src 'self'; connect-src ${options.apiBaseUrl}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

async function answer(request) {
  if (request.method !== "GET" && request.method !== "HEAD")
    return { status: 405, type: "text/plain", body: "GET only\n" };
  const path = request.url.split("?")[0];
  if (path === "/") return { status: 200, type: "text/html; charset=utf-8", body: page(options) };
  const type = FILES.get(path);
  if (type === undefined) return { status: 404, type: "text/plain", body: "not found\n" };
  return { status: 200, type, body: await readFile(new URL(`./public${path}`, import.meta.url)) };
}

const server = createServer(async (request, response) => {
  try {
    const { status, type, body } = await answer(request);
    response.writeHead(status, { ...HEADERS, "content-type": type, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? undefined : body);
  } catch (error) {
    log("error", error.message);
    if (!response.headersSent) response.writeHead(500, { ...HEADERS, "content-type": "text/plain" });
    response.end("internal error\n");
  }
});

server.on("error", (error) => {
  log("error", `cannot listen on ${options.host}:${options.port}: ${error.code ?? error.message}`);
  process.exit(1);
});
server.listen(options.port, options.host, () => {
  const { address, port } = server.address();
  log("info", "started", { host: address, port, project: options.projectName });
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    log("info", "stopping", { signal });
    server.close(() => process.exit(0));
    // Browsers keep connections open; those without a request in flight end now, the others with their answer.
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 2000).unref();
  });
}
