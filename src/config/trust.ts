/**
 * A stackwarden.yaml that merely lies in the working directory may have been written by the very agent that
 * the server guards. Such a file may make things stricter or tell where projects are, never lift a guard (S7);
 * for that a person names the file (`--config`), writes the user's own one, or sets the environment.
 */
import { realpathSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { StackwardenError } from "../errors.js";
import type { ConfigFile } from "./file.js";

/** @throws StackwardenError POLICY_VIOLATION naming file, line and setting */
export function refuseLiftedGuards(file: ConfigFile): void {
  const { values } = file;
  const refuse = (key: string, why: string): never => {
    throw new StackwardenError("POLICY_VIOLATION", `${file.where([key])}: ${key} ${why}`, {
      hint: "A file found in the working directory cannot lift a guard. Pass it with --config, or set it in the user's configuration or by environment.",
      details: { setting: key },
    });
  };
  for (const key of [
    "allow_root",
    "allow_binds",
    "state_dir",
    "restart_budget",
    "oauth",
    "engines",
    "gateway_image",
    "docker_host",
    "docker_context",
  ]) {
    if (Object.hasOwn(values, key)) refuse(key, "is not accepted here.");
  }
  for (const key of ["read_only", "require_enforced_limits"]) {
    if (values[key] === false) refuse(key, "can only be switched on here.");
  }
  // Opens published ports to the network.
  if (values.dagger_tunnel === true) refuse("dagger_tunnel", "can only be switched off here.");
  if (Array.isArray(values.roots)) {
    for (const root of values.roots) {
      if (typeof root === "string" && outside(file.folder, root)) refuse("roots", `leads out of ${file.folder}.`);
    }
  }
}

function outside(folder: string, path: string): boolean {
  const way = relative(real(folder), real(resolve(folder, path)));
  return way === ".." || way.startsWith("../") || way.startsWith("..\\") || isAbsolute(way);
}

/** Symbolic links resolved where the path exists. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
