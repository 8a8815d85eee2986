/**
 * Volumes, binds and temporary file systems. A bind must be below the project's folder, or below a folder that the
 * operator allows.
 */
import { posix } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { realPath } from "../../../system/real-path.js";
import type { Mount } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { isEngineSocket, projectPath } from "./project-path.js";
import { parseMode } from "./read-files.js";
import { parseBytes } from "./units.js";

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
/** Files of the machine's time zone. Binds of them are accepted; every container has its own. */
const HARMLESS = new Set(["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"]);
const OPTIONS = new Set(["ro", "rw", "nocopy", "copy", "z", "Z", "cached", "delegated", "consistent"]);
const PROPAGATION = new Set(["rprivate", "private", "rshared", "shared", "rslave", "slave"]);

export interface MountContext {
  service: string;
  /** Real path of the project's folder. */
  folder: string;
  /** Folders outside the project that the operator allows to bind. A suffix `:rw` also allows writing. */
  allowBinds: readonly string[];
  note(text: string): void;
  /** The folder of a top-level volume that is a bind (`driver_opts: {o: bind, device: …}`). */
  boundVolume(name: string): NodeReader | undefined;
}

const OUTSIDE =
  "Use a path below the project's folder. Only the server's own configuration can open other folders (allow_binds).";

const isPath = (text: string): boolean => /^(?:\.|\/|~|[A-Za-z]:[\\/]|\\\\)/.test(text);

function target(reader: NodeReader, text: string | undefined): string | undefined {
  if (text?.startsWith("/") && !text.split("/").includes("..")) {
    const clean = posix.normalize(text).replace(/(?<=.)\/$/, "");
    if (clean !== "/") return clean;
  }
  return reader.invalid("has no absolute path inside the service", "Write it as in data:/var/lib/data.");
}

interface BindOptions {
  readOnly: boolean;
  createHostPath?: false;
}

function bind(
  reader: NodeReader,
  text: string,
  to: string,
  options: BindOptions,
  context: MountContext,
): Mount | undefined {
  const { allowBinds, folder, note } = context;
  if (HARMLESS.has(text.replace(/\/$/, ""))) {
    note(`${reader.path}: ${text} is not mounted: a container has its own.`);
    return undefined;
  }
  const path = realPath(posix.resolve(reader.folder, text));
  const open =
    text.startsWith("~") || isEngineSocket(text, path) || isBeneath(folder, path)
      ? undefined
      : allowBinds.find((one) => isBeneath(realPath(one.replace(/:rw$/, "")), path));
  if (open !== undefined) {
    const readOnly = options.readOnly || !open.endsWith(":rw");
    if (readOnly && !options.readOnly)
      note(`${reader.path}: ${text} is mounted read-only, as the operator's allow_binds says.`);
    return { type: "bind", source: path, target: to, ...options, readOnly, outside: true };
  }
  const inside = projectPath(reader, text, folder, OUTSIDE);
  return inside === undefined ? undefined : { type: "bind", source: inside, target: to, ...options };
}

const anonymous = (service: string, to: string): string =>
  `${service}${to.replace(/[^a-zA-Z0-9_.-]+/g, "-")}`.slice(0, 128).replace(/-$/, "");

function volume(
  reader: NodeReader,
  source: string | undefined,
  to: string,
  options: { readOnly: boolean; subpath?: string; noCopy?: true },
  context: MountContext,
): Mount | undefined {
  if (source === undefined)
    return { type: "volume", source: anonymous(context.service, to), target: to, ...options, anonymous: true };
  const bound = context.boundVolume(source);
  if (bound !== undefined)
    return bind(bound, bound.string("a path") ?? ".", to, { readOnly: options.readOnly }, context);
  if (!VOLUME_NAME.test(source))
    return reader.invalid("names no volume and no path", "Name the volume, or begin a path with ./");
  return { type: "volume", source, target: to, ...options };
}

function short(reader: NodeReader, context: MountContext): Mount | undefined {
  const text = reader.string("a volume");
  if (text === undefined) return undefined;
  const [first = "", inside, mode = "", ...rest] = text.split(/(?<!^[A-Za-z]):/);
  if (rest.length > 0 || first === "" || inside === "")
    return reader.invalid("is not `source:target[:ro]`", "Name the volume, as in data:/var/lib/data.");
  if (inside === undefined) {
    const to = target(reader, first);
    return to === undefined ? undefined : volume(reader, undefined, to, { readOnly: false }, context);
  }
  const to = target(reader, inside);
  if (to === undefined) return undefined;
  const options = mode.split(",");
  const readOnly = options.includes("ro");
  const unknown = options.find((option) => option !== "" && !OPTIONS.has(option) && !PROPAGATION.has(option));
  if (unknown !== undefined)
    context.note(`${reader.path}: the option ${unknown.slice(0, 32)} is unknown and has no effect.`);
  if (isPath(first)) return bind(reader, first, to, { readOnly }, context);
  return volume(reader, first, to, { readOnly, ...(options.includes("nocopy") ? { noCopy: true } : {}) }, context);
}

function long(reader: NodeReader, context: MountContext): Mount | undefined {
  const fields = reader.fields([
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "tmpfs",
    "volume",
    "bind",
    "image",
  ]);
  const type = fields.type?.string();
  const to = target(fields.target ?? reader, fields.target?.string("a path"));
  const readOnly = hasValue(fields.read_only) ? (fields.read_only.boolean() ?? false) : false;
  const source = hasValue(fields.source) ? fields.source.string("a path or a volume") : undefined;
  if (type === "npipe")
    return reader.policy(
      "reaches a pipe of the machine",
      "Remove it, or start the other services without this one (`without`).",
    );
  if (type === "cluster" || type === "image") {
    context.note(`${reader.path}: a mount of the type ${type} is left out.`);
    return undefined;
  }
  if (type !== undefined && type !== "volume" && type !== "bind" && type !== "tmpfs")
    return fields.type?.invalid("is not a type of mount", "Write volume, bind or tmpfs.");
  if (type === undefined && source === undefined) return reader.invalid("has no source", "Give `type` and `source`.");
  if (to === undefined) return undefined;
  if (type === "tmpfs") {
    const parts = hasValue(fields.tmpfs) ? fields.tmpfs.fields(["size", "mode"]) : {};
    return tmpfs(parts.size ?? reader, to, parts.size?.string("a size"), parts.mode?.string("a mode"));
  }
  if (type === "bind") {
    const parts = hasValue(fields.bind)
      ? fields.bind.fields(["propagation", "create_host_path", "recursive", "selinux"])
      : {};
    const propagation = parts.propagation?.string();
    if (propagation !== undefined && !PROPAGATION.has(propagation))
      parts.propagation?.invalid("is not a propagation", `Write one of: ${[...PROPAGATION].join(", ")}.`);
    const create = hasValue(parts.create_host_path) ? parts.create_host_path.boolean() : true;
    if (source === undefined) return reader.invalid("has no source", "Give `source`.");
    return bind(
      fields.source as NodeReader,
      source,
      to,
      { readOnly, ...(create === false ? { createHostPath: false } : {}) },
      context,
    );
  }
  const parts = hasValue(fields.volume) ? fields.volume.fields(["nocopy", "subpath", "labels"]) : {};
  const subpath = parts.subpath?.string("a path");
  if (subpath !== undefined && (subpath.startsWith("/") || subpath.split("/").includes("..")))
    return parts.subpath?.invalid("leads out of the volume", "Write a relative path without `..`.");
  const noCopy = hasValue(parts.nocopy) && parts.nocopy.boolean() === true;
  if (source !== undefined && isPath(source)) return reader.invalid("is a path", "Use `type: bind` for a path.");
  return volume(
    reader,
    source,
    to,
    { readOnly, ...(subpath === undefined ? {} : { subpath }), ...(noCopy ? { noCopy: true } : {}) },
    context,
  );
}

function tmpfs(reader: NodeReader, to: string, size: string | undefined, mode: string | undefined): Mount | undefined {
  const bytes = size === undefined ? undefined : parseBytes(size);
  const bits = mode === undefined ? undefined : parseMode(mode);
  if (bytes === null) return reader.invalid("must be a size such as 64m", "Write it as in /run:size=64m.");
  if (bits === null) return reader.invalid("must have a mode such as 1777", "Write permission bits in octal digits.");
  return {
    type: "tmpfs",
    target: to,
    ...(bytes === undefined ? {} : { sizeBytes: bytes }),
    ...(bits === undefined ? {} : { mode: bits }),
  };
}

export function readMounts(
  volumes: NodeReader | undefined,
  temporary: NodeReader | undefined,
  context: MountContext,
): Mount[] {
  // The last mount of a path takes effect, as when files are merged.
  const mounts = new Map<string, Mount>();
  for (const item of volumes?.list() ?? []) {
    const mount = item.isMap ? long(item, context) : short(item, context);
    if (mount !== undefined) mounts.set(mount.target, mount);
  }
  const temporaryTargets = new Set<string>();
  for (const item of temporary?.listOrOne() ?? []) {
    const [path, options = ""] = (item.string("a path") ?? "").split(/:(.*)/s);
    const to = target(item, path);
    const option = (name: string): string | undefined => new RegExp(`(?:^|,)${name}=([^,]+)`).exec(options)?.[1];
    const mount = to === undefined ? undefined : tmpfs(item, to, option("size"), option("mode"));
    if (mount === undefined) continue;
    if (temporaryTargets.has(mount.target) || mounts.has(mount.target))
      item.invalid(`mounts ${mount.target} a second time`, "Mount each path once.");
    temporaryTargets.add(mount.target);
    mounts.set(mount.target, mount);
  }
  return [...mounts.values()];
}
