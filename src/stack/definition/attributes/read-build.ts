/** Reads `build`: the build of a service's image. */

import type { BuildDefinition } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";
import { readEnvironment } from "./read-environment.js";
import { readFileMounts } from "./read-files.js";
import { readExtraHosts } from "./read-networks.js";
import { parseBytes } from "./units.js";

const KEYS = [
  "context",
  "dockerfile",
  "dockerfile_inline",
  "entitlements",
  "args",
  "ssh",
  "labels",
  "cache_from",
  "cache_to",
  "no_cache",
  "no_cache_filter",
  "additional_contexts",
  "network",
  "provenance",
  "sbom",
  "pull",
  "target",
  "shm_size",
  "extra_hosts",
  "isolation",
  "privileged",
  "secrets",
  "tags",
  "ulimits",
  "platforms",
] as const;

/** Build keys that would give the build access outside its own context. */
const FORBIDDEN: Partial<Record<(typeof KEYS)[number], string>> = {
  ssh: "gives the build the user's SSH keys",
  entitlements: "gives the build rights of the machine",
  privileged: "gives the build the whole machine",
};

const REMOTE = /^(?:[a-z][a-z0-9+.-]*:\/\/|git@|github\.com\/)/;

function checkForbidden(fields: Partial<Record<string, NodeReader>>): void {
  for (const [key, means] of Object.entries(FORBIDDEN)) {
    const reader = fields[key];
    if (!hasValue(reader)) continue;
    const harmless =
      reader.isList || reader.isMap ? reader.isList && reader.list().length === 0 : reader.string() === "false";
    if (!harmless) reader.policy(means, "Remove it: a build here reaches nothing of this machine.");
  }
}

export function readBuild(reader: NodeReader, folder: string): BuildDefinition | undefined {
  const fields: Partial<Record<(typeof KEYS)[number], NodeReader>> = reader.isMap
    ? reader.fields(KEYS)
    : { context: reader };
  checkForbidden(fields);
  const at = hasValue(fields.context) ? fields.context : reader;
  const written = hasValue(fields.context) ? fields.context.string("a path") : ".";
  if (written === undefined) return undefined;
  if (REMOTE.test(written))
    return at.policy(`builds from elsewhere (${written})`, "Put a copy of the sources into the project.");
  const context = projectPath(at, written, folder);
  if (context === undefined) return undefined;
  const { values: args } = readEnvironment(fields.args, undefined, folder);
  const dockerfile = hasValue(fields.dockerfile) ? fields.dockerfile.string("a path") || undefined : undefined;
  const inline = hasValue(fields.dockerfile_inline) ? fields.dockerfile_inline.string("a Dockerfile") : undefined;
  const target = hasValue(fields.target) ? fields.target.string() : undefined;
  if (dockerfile !== undefined && inline !== undefined)
    return fields.dockerfile_inline?.invalid("and dockerfile exclude each other", "Remove one of them.");
  if (
    dockerfile !== undefined &&
    projectPath(
      fields.dockerfile as NodeReader,
      dockerfile.startsWith("/") ? dockerfile : `${context}/${dockerfile}`,
      folder,
    ) === undefined
  )
    return undefined;
  const { values: labels } = readEnvironment(fields.labels, undefined, folder);
  const flag = (field: NodeReader | undefined): boolean => hasValue(field) && field.boolean() === true;
  const extraHosts = hasValue(fields.extra_hosts) ? readExtraHosts(fields.extra_hosts) : {};
  const size = hasValue(fields.shm_size) ? fields.shm_size.string("a size") : undefined;
  const shmSizeBytes = size === undefined ? undefined : parseBytes(size);
  if (shmSizeBytes === null) fields.shm_size?.invalid("must be a size such as 64m", "Write it as in 64m or 1g.");
  const secrets = readFileMounts(fields.secrets, "secret").map(({ source, target }) => ({ source, target }));
  return {
    context,
    args,
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(inline === undefined ? {} : { dockerfileInline: inline }),
    ...(target === undefined || target === "" ? {} : { target }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(Object.keys(extraHosts).length === 0 ? {} : { extraHosts }),
    ...(shmSizeBytes == null ? {} : { shmSizeBytes }),
    ...(flag(fields.no_cache) ? { noCache: true } : {}),
    ...(flag(fields.pull) ? { pull: true } : {}),
    ...(secrets.length === 0 ? {} : { secrets }),
  };
}
