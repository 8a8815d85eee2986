// Shared by the benchmarks: peers, MCP clients, medians. What is compared runs alternately in one run: the machine is noisy.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { npm, root, say } from "../scripts/lib/run.mjs";

export const BINARY = join(root, "dist", "stackwarden.js");
const PEER = "@modelcontextprotocol/server-everything@2026.8.31";

/** Installs the reference server beside the benchmarks once; it is not a dependency of stackwarden. */
export function referenceServer() {
  const folder = join(root, "bench", ".cache");
  const entry = join(folder, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js");
  if (!existsSync(entry)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
    say(`installing ${PEER}`);
    if (!npm(["install", "--no-audit", "--no-fund", "--no-save", PEER], { cwd: folder })) process.exit(1);
  }
  return entry;
}

/** The background server of a state directory, or undefined. */
export function serverPid(state) {
  try {
    return JSON.parse(readFileSync(join(state, "server", "lock"), "utf8")).pid;
  } catch {
    return undefined;
  }
}

export function endServer(state) {
  spawnSync(process.execPath, [BINARY, "server", "stop", "--force", "--state-dir", state]);
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
export const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)];

export function workFolder() {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-bench-"));
  spawnSync("chmod", ["755", folder]);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }) };
}

/** A connected client. `env` is added to PATH alone. */
export async function connect(args, env = {}, cwd = root) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    cwd,
    env: { PATH: process.env.PATH ?? "", ...env },
    stderr: "ignore",
  });
  const client = new Client({ name: "bench", version: "1.0.0" });
  await client.connect(transport);
  const call = async (name, input = {}) => {
    const result = await client.callTool({ name, arguments: { detail: true, ...input } }, undefined, {
      timeout: 600_000,
    });
    if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.structuredContent ?? result.content)}`);
    return result.structuredContent ?? result;
  };
  return { client, call, pid: transport.pid, close: () => client.close() };
}

export async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
