/** `stackwarden doctor`: what this machine can run and enforce, and the state of the background server. */
import type { DaemonStatus, Finding } from "../../daemon/daemon-status.js";
import { StackwardenError } from "../../errors.js";
import type { StackManager } from "../../stack/model.js";
import type { Enforcement, RuntimeStatus } from "../../stack/runtime.js";
import type { StackCheck } from "../../stack/schemas/check.js";
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
    ...(status.available ? showIsolation(isolation) : []),
  ].join("\n");
}

const showIsolation = (isolation: RuntimeStatus["isolation"]): string[] => [
  `  limits      ${level(isolation.limits)}`,
  `  users       ${level(isolation.users)}`,
  `  network     ${level(isolation.network)}`,
  `  file system ${level(isolation.filesystem)}`,
];

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

/** What a start in this folder would run; null in a folder that has no stack or is not allowed. */
async function projectCheck(
  manager: StackManager,
  request: { project: string; folder: string },
): Promise<StackCheck | null> {
  try {
    const check = await manager.check(request);
    // Folders without compose files get the built-in stack, which says nothing about the folder.
    return check.files.some((file) => file.startsWith("/")) || check.problems.some(({ file }) => file !== "")
      ? check
      : null;
  } catch (error) {
    if (error instanceof StackwardenError) return null;
    throw error;
  }
}

function showProject({ project, startable, runtime, services, notes, problems }: StackCheck): string {
  const lines = services.map(({ service, runs, image, build }): string => {
    const own = problems.filter((one) => one.service === service);
    const what = runs ?? image ?? (build ? "built from its Dockerfile" : "its command");
    return finding({
      ok: own.length === 0,
      message: [`${service}: ${what}`, ...own.map(({ message }) => message)].join("\n     "),
      ...(own.length === 0 ? {} : { fix: own.map(({ hint }) => hint).join("\n     ") }),
    });
  });
  const known = new Set(services.map(({ service }) => service));
  const others = problems.filter(({ service }) => service === null || !known.has(service));
  return [
    `${bold(`project ${project}`)}: ${startable ? green("can start") : red("cannot start")} on ${runtime ?? "no runtime"}`,
    ...lines,
    ...others.map(({ message, hint }) => finding({ ok: false, message, fix: hint })),
    ...notes.map((note) => `  ${dim(note)}`),
  ].join("\n");
}

export async function doctor(options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, config, project, folder } = session;
  try {
    const { inspectDaemon } = await import("../../daemon/daemon-status.js");
    const manager = await session.manager();
    const [server, runtimes, check] = await Promise.all([
      inspectDaemon({ stateDir: config.stateDir, version: VERSION, path: process.env.PATH ?? "" }),
      manager.runtimes(),
      folder === undefined ? null : projectCheck(manager, { project, folder }),
    ]);
    if (terminal.json)
      terminal.print(JSON.stringify({ state_dir: config.stateDir, roots: config.roots, server, runtimes, check }));
    else {
      terminal.print([`state directory  ${config.stateDir}`, `allowed roots    ${config.roots.join(", ")}`].join("\n"));
      terminal.print(["", showServer(server), ...runtimes.map(showRuntime)].join("\n\n").slice(1));
      if (check !== null) terminal.print(`\n${showProject(check)}`);
    }
    return runtimes.some((status) => status.available) ? EXIT.ok : EXIT.runtimeUnavailable;
  } finally {
    await session.close();
  }
}
