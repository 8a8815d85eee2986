/** `stackwarden doctor`: what this machine can run and enforce, and the state of the background server. */
import type { DaemonStatus, Finding } from "../../daemon/daemon-status.js";
import type { Enforcement, RuntimeStatus } from "../../stack/runtime.js";
import { VERSION } from "../../version.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { bold, dim, green, red, yellow } from "../output/terminal.js";
import { type CliHost, type CommonOptions, openSession } from "../session.js";

const level = ({ level: name, reason }: Enforcement): string =>
  `${name === "enforced" ? green(name) : yellow(name)} ${dim(reason)}`;

const finding = ({ ok, message, fix }: Finding): string =>
  `  ${ok ? green("ok") : red("--")} ${message}${fix === undefined ? "" : `\n     ${fix}`}`;

function showRuntime(status: RuntimeStatus): string {
  const { isolation } = status;
  return [
    `${bold(`runtime ${status.runtime}`)}: ${status.available ? green("available") : red("not available")}`,
    ...status.findings.map(finding),
    `  limits      ${level(isolation.limits)}`,
    `  users       ${level(isolation.users)}`,
    `  network     ${level(isolation.network)}`,
    `  file system ${level(isolation.filesystem)}`,
  ].join("\n");
}

function showServer({ running, status, socket, log, findings }: DaemonStatus): string {
  const stacks = status?.stacks.map(({ project, state, folder }) => `${project} (${state}, ${folder})`) ?? [];
  return [
    `${bold("background server")}: ${running ? green("running") : "not running"}`,
    ...findings.map(finding),
    ...(status === null ? [] : [`  clients     ${status.clients}`, `  stacks      ${stacks.join(", ") || "none"}`]),
    `  socket      ${socket}`,
    ...(status?.http === undefined ? [] : [`  http        ${status.http}`]),
    `  log         ${log}`,
  ].join("\n");
}

export async function doctor(options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, config } = session;
  try {
    const { inspectDaemon } = await import("../../daemon/daemon-status.js");
    const [server, runtimes] = await Promise.all([
      inspectDaemon({ stateDir: config.stateDir, version: VERSION, path: process.env.PATH ?? "" }),
      session.manager().then((manager) => manager.runtimes()),
    ]);
    if (terminal.json)
      terminal.print(JSON.stringify({ state_dir: config.stateDir, roots: config.roots, server, runtimes }));
    else {
      terminal.print([`state directory  ${config.stateDir}`, `allowed roots    ${config.roots.join(", ")}`].join("\n"));
      terminal.print([showServer(server), ...runtimes.map(showRuntime)].join("\n"));
    }
    return runtimes.some((status) => status.available) ? EXIT.ok : EXIT.runtimeUnavailable;
  } finally {
    await session.close();
  }
}
