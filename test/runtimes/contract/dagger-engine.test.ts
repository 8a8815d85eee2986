/** The contract, kept by the Dagger runtime on the engine that the environment names; its registry must have the images. */
import { readdirSync, readFileSync } from "node:fs";
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { cliFinding, engineFinding } from "../../../src/runtimes/dagger/discovery.js";
import { runtimeContract } from "./contract.js";

const VARIABLE = "_EXPERIMENTAL_DAGGER_RUNNER_HOST";

async function whyNot(): Promise<string | null> {
  const runnerHost = process.env[VARIABLE];
  // Without an address the CLI would start an engine, and fetch it.
  if (runnerHost === undefined || runnerHost === "") return `${VARIABLE} names no engine`;
  const [cli, engine] = await Promise.all([
    cliFinding(process.env),
    engineFinding({ runnerHost, source: VARIABLE }, process.env),
  ]);
  return [cli.finding, engine].find(({ ok }) => !ok)?.message ?? null;
}

/** `dagger session` processes that this test started. */
const sessions = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = / ([0-9]+) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) \S/, ""))?.[1];
        return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("\0session\0");
      } catch {
        return false;
      }
    });

runtimeContract(
  "the Dagger runtime on a real engine",
  async () => {
    const runtime = createDaggerRuntime({
      settings: {
        engines: {},
        projects: {},
        gatewayImage: "node:20-alpine",
        retry: { maxRetries: 3, baseDelayMs: 1000 },
      },
      env: process.env,
      warn: () => {},
    });
    return {
      runtime,
      images: { python: "python:3.11-slim", redis: "redis:7-alpine" },
      keepsSplitCharacters: false,
      // Only an engine on this machine shows its processes here.
      processesVisible: process.env[VARIABLE]?.startsWith("unix:") === true,
      kill: async () => {
        for (const pid of sessions()) process.kill(pid, "SIGKILL");
      },
      close: () => runtime.close(),
    };
  },
  await whyNot(),
);
