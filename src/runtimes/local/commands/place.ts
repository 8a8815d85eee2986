/**
 * Working directory, environment and user of a caller's command: the same as the service's own, credentials included.
 */
import { isAbsolute, join, posix, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { ExecRequest } from "../../../stack/runtime.js";
import { findIn } from "../../../system/find-program.js";
import type { SandboxMount } from "../process/sandbox.js";
import type { LaunchPlan } from "../providers/launch-plan.js";
import type { ServiceUser } from "../types.js";

export interface CommandPlace {
  service: ServiceDefinition;
  user: ServiceUser;
  plan: Pick<LaunchPlan, "cwd" | "env" | "commandEnv" | "resolve" | "programs" | "mounts" | "files" | "groups">;
}

export interface CommandSpec {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  user: ServiceUser;
  programs: readonly string[];
  mounts: readonly SandboxMount[];
  files: Readonly<Record<string, string>>;
}

const notFound = (program: string, service: string, cause?: unknown): StackwardenError =>
  new StackwardenError("COMMAND_NOT_FOUND", `The program "${program}" was not found in ${service}.`, {
    hint: "Give the program's path, add it to the service's dependencies, or run it by a shell where it is one of the shell's own commands.",
    details: { service, program },
    ...(cause === undefined ? {} : { cause }),
  });

/**
 * Resolves a program without a slash on the same PATH as the service's own command.
 * @throws COMMAND_NOT_FOUND
 */
async function resolveProgram({ plan, service }: CommandPlace, argv: string[], path: string): Promise<string[]> {
  const [program = "", ...rest] = argv;
  if (program.includes("/")) return argv;
  const resolved = await plan.resolve(argv).catch((error: unknown) => {
    if (error instanceof StackwardenError && error.code === "SERVICE_START_FAILED")
      throw notFound(program, service.name, error);
    throw error;
  });
  if (resolved[0]?.includes("/")) return resolved;
  const programPath = await findIn([program], path.split(":"));
  if (programPath === null) throw notFound(program, service.name);
  return [programPath, ...rest];
}

/** Maps a path inside the container to the same place on this machine. */
function directory({ plan, service }: CommandPlace, workdir: string | undefined): string {
  if (workdir === undefined) return plan.cwd;
  if (service.workingDir === undefined) return workdir;
  const inside = relative(service.workingDir, posix.normalize(workdir));
  return inside.startsWith("..") || isAbsolute(inside) ? workdir : join(plan.cwd, inside);
}

/** @throws COMMAND_NOT_FOUND */
export async function commandSpec(
  place: CommandPlace,
  request: Pick<ExecRequest, "command" | "environment" | "workdir">,
): Promise<CommandSpec> {
  const { plan, user } = place;
  const env = { ...plan.env, ...plan.commandEnv, ...request.environment };
  return {
    argv: await resolveProgram(place, [...request.command], env.PATH ?? ""),
    cwd: directory(place, request.workdir),
    env,
    user,
    programs: plan.programs ?? [],
    mounts: plan.mounts ?? [],
    files: plan.files ?? {},
  };
}
