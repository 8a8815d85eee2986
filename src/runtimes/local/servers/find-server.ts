/** Finds the program of a server image on this machine. */
import { StackwardenError } from "../../../errors.js";
import { findIn, systemDirs } from "../../../system/find-program.js";
import type { PrepareContext } from "../providers/launch-plan.js";
import { firstRunnable } from "../toolchain/binaries.js";
import { findClientTool } from "../toolchain/find-toolchain.js";
import { SERVERS, type ServerName, serverInstallCommand } from "./images.js";

/** The program, or null. Absolute names are checked as they are. */
export async function findServer(
  name: ServerName,
  context: Pick<PrepareContext, "user" | "host" | "client">,
): Promise<string | null> {
  for (const program of SERVERS[name].programs) {
    const path = program.startsWith("/") ? program : await findIn([program], systemDirs());
    const runnable = await firstRunnable([path], context.user, context.host);
    if (runnable !== null) return runnable;
    const own = program.startsWith("/") ? null : await findClientTool(program, context);
    if (own !== null) return own.program;
  }
  return null;
}

/** @throws RUNTIME_UNAVAILABLE with the command that installs it */
export async function requireServer(name: ServerName, context: PrepareContext): Promise<string> {
  const program = await findServer(name, context);
  if (program !== null) return program;
  const { name: service, image } = context.request.service;
  throw new StackwardenError(
    "RUNTIME_UNAVAILABLE",
    `"${service}" needs ${SERVERS[name].title} (${image ?? name}), which is not installed.`,
    { hint: `Install it: ${serverInstallCommand(name)}`, details: { service, program: SERVERS[name].programs[0] } },
  );
}
