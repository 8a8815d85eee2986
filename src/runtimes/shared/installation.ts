/** Dependencies that a runtime with images installs for a service (`x-local.install`). */
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { parseImageName } from "../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../stack/definition/types.js";

export interface Installation {
  kind: "python" | "node";
  /** Path of the manifest, absolute or relative to the project's folder. */
  manifest: string;
}

/**
 * Returns the installation only for a plain language image: an image that the project builds contains its dependencies.
 */
export function installationOf(service: ServiceDefinition): Installation | null {
  const install = service.local?.install;
  if (install === undefined || service.build !== undefined || service.image === undefined) return null;
  return parseImageName(service.image).name === install.kind ? install : null;
}

/** @param lines the last lines of the installer */
export const installFailed = (message: string, lines: string[] = [], cause?: unknown): StackwardenError =>
  new StackwardenError("DEPENDENCY_INSTALL_FAILED", message, {
    hint: hint`Read its output (details.last_lines, or ${callTo("get_logs", { stream: "install" })}), correct the manifest, then start again.`,
    ...(lines.length > 0 ? { details: { last_lines: lines } } : {}),
    cause,
  });
