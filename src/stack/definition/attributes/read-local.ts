/** `x-local`: how the local runtime runs a service. */
import { providerOfImage } from "../image-name.js";
import type { LocalDefinition } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";
import { readCommand } from "./read-command.js";
import { readEnvironment } from "./read-environment.js";

export function readLocal(
  reader: NodeReader | undefined,
  image: string | undefined,
  folder: string,
): LocalDefinition | undefined {
  const byImage = image === undefined ? undefined : (providerOfImage(image) ?? undefined);
  if (!hasValue(reader)) return byImage === undefined ? undefined : { provider: byImage, environment: {} };
  const fields = reader.fields(["provider", "command", "working_dir", "install", "environment"]);
  const command = readCommand(fields.command);
  const provider = hasValue(fields.provider)
    ? fields.provider.oneOf(["postgres", "redis"])
    : command === undefined
      ? byImage
      : undefined;
  const at = fields.working_dir?.string("a path");
  const workingDir = at === undefined ? undefined : projectPath(fields.working_dir as NodeReader, at, folder);
  const { values } = readEnvironment(fields.environment, undefined, folder);
  let install: LocalDefinition["install"];
  if (hasValue(fields.install)) {
    const parts = fields.install.fields(["kind", "manifest"]);
    const kind = parts.kind?.oneOf(["python", "node"]);
    const written = parts.manifest?.string("a path");
    if (kind === undefined || written === undefined)
      fields.install.invalid("needs kind and manifest", "Write { kind: python, manifest: requirements.txt }.");
    else {
      const manifest = projectPath(fields.install, written, folder);
      if (manifest !== undefined) install = { kind, manifest };
    }
  }
  return {
    environment: values,
    ...(provider === undefined ? {} : { provider }),
    ...(command === undefined ? {} : { command }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(install === undefined ? {} : { install }),
  };
}
