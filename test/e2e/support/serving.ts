/** `stackwarden serve` as a process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { BINARY, type TestBench, until } from "./bench.js";

export interface Serving {
  url: string;
  socket: string;
  token: string;
  child: ChildProcess;
  stderr(): string;
  /** @returns the exit code */
  end(): Promise<number | null>;
}

/** Just spawned: its first line of output or its end is the result. */
export function spawnServe(bench: TestBench, ...args: string[]) {
  const child = spawn(process.execPath, [BINARY, "serve", "--port", "0", "--json", ...args], {
    cwd: bench.projects,
    env: { PATH: process.env.PATH ?? "", ...bench.environment() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return { child, exited: once(child, "exit"), stdout: () => stdout, stderr: () => stderr };
}

export async function serveOn(bench: TestBench, ...args: string[]): Promise<Serving> {
  const { child, exited, stdout, stderr } = spawnServe(bench, ...args);
  await until("it serves", () => stdout().includes("\n") || child.exitCode !== null);
  if (child.exitCode !== null) throw new Error(`serve ended: ${stderr()}`);
  const { url, socket, token_file: file } = JSON.parse(stdout()) as { url: string; socket: string; token_file: string };
  return {
    url,
    socket,
    token: readFileSync(file, "utf8").trim(),
    child,
    stderr,
    end: async () => {
      if (child.exitCode === null) child.kill("SIGTERM");
      await exited;
      return child.exitCode;
    },
  };
}
