/** `stackwarden doctor`: what this machine can run and enforce. */
import type { Enforcement, RuntimeStatus } from "../../stack/runtime.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { bold, dim, green, red, yellow } from "../output/terminal.js";
import { type CliHost, type CommonOptions, openSession } from "../session.js";

const level = ({ level: name, reason }: Enforcement): string =>
  `${name === "enforced" ? green(name) : yellow(name)} ${dim(reason)}`;

function show(status: RuntimeStatus): string {
  const { isolation } = status;
  return [
    `${bold(`runtime ${status.runtime}`)}: ${status.available ? green("available") : red("not available")}`,
    ...status.findings.map(
      ({ ok, message, fix }) =>
        `  ${ok ? green("ok") : red("--")} ${message}${fix === undefined ? "" : `\n     ${fix}`}`,
    ),
    `  limits      ${level(isolation.limits)}`,
    `  users       ${level(isolation.users)}`,
    `  network     ${level(isolation.network)}`,
    `  file system ${level(isolation.filesystem)}`,
  ].join("\n");
}

export async function doctor(options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, config } = session;
  try {
    const runtimes = await (await session.manager()).runtimes();
    if (terminal.json) terminal.print(JSON.stringify({ state_dir: config.stateDir, roots: config.roots, runtimes }));
    else {
      terminal.print([`state directory  ${config.stateDir}`, `allowed roots    ${config.roots.join(", ")}`].join("\n"));
      terminal.print(runtimes.map(show).join("\n"));
    }
    return runtimes.some((status) => status.available) ? EXIT.ok : EXIT.runtimeUnavailable;
  } finally {
    await session.close();
  }
}
