#!/usr/bin/env node
/** Stand-in for the `dagger` program: `session` as far as an SDK uses it; `engine.ts` answers `version`. */
import { setTimeout as delay } from "node:timers/promises";
import { folderOf, openEngine } from "./engine-folder.mjs";
import { reachable, Session } from "./session.mjs";

const runnerHost = process.env._EXPERIMENTAL_DAGGER_RUNNER_HOST ?? "";
const folder = folderOf(runnerHost) ?? process.env.DAGGER_SIM_ENGINE;
const [command, ...rest] = process.argv.slice(2);
const fail = (message) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
};
if (folder === undefined) fail(`start engine: driver for scheme "${runnerHost.split(":")[0]}" was not found`);
const engine = openEngine(folder);

if (command === "session") {
  const fault = engine.faults().open ?? {};
  if (!rest.includes("--silent")) fail("Error: unexpected arguments");
  process.stdin.resume();
  if (fault.slowMs !== undefined) await delay(fault.slowMs);
  if (fault.stderr !== undefined && engine.take("open", fault.times)) fail(fault.stderr);
  if (fault.hangs && engine.take("open-hangs", fault.times))
    await new Promise((resolve) => process.stdin.once("end", resolve)).then(() => process.exit(0));
  if (fault.line !== undefined && engine.take("open-line", fault.times)) process.stdout.write(`${fault.line}\n`);
  if (runnerHost !== "" && !(await reachable(runnerHost.slice("unix://".length))))
    fail(`start engine: failed to connect to ${runnerHost}: dial unix: connect: no such file or directory`);
  const session = new Session(engine);
  const port = await session.open();
  if (fault.stays !== undefined) {
    // When the engine cannot be reached any more, the CLI does not end.
    if (fault.stays === "for good") process.on("SIGTERM", () => {});
    else process.once("SIGTERM", () => process.exit(1));
    process.stdout.write(`${JSON.stringify({ port, session_token: session.token })}\n`);
    await new Promise(() => setInterval(() => {}, 1000));
  }
  let ending = false;
  const end = () => {
    if (!ending) void session.close().then(() => process.exit(0));
    ending = true;
  };
  process.stdin.once("end", end).once("close", end);
  process.once("SIGTERM", end).once("SIGINT", end);
  process.stdout.write(`${JSON.stringify({ port, session_token: session.token })}\n`);
} else {
  fail(`Error: unknown command "${command}" for "dagger"`);
}
