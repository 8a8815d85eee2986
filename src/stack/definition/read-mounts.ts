/** Volumes and binds. A bind stays below the project, symbolic links resolved (S7). */
import { resolve } from "node:path";
import { isBeneath } from "../../system/open-beneath.js";
import { realPath } from "../../system/real-path.js";
import { given, type NodeReader } from "./node-reader.js";
import type { Mount } from "./types.js";
import { parseBytes } from "./units.js";

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
const SOCKETS = /(?:docker|containerd|podman|crio|buildkitd|dagger)[^/]*\.sock|\/var\/run\/docker|\/run\/dagger/;

/**
 * A path written in the file, as an absolute real path below the project.
 * Anything else is a policy violation.
 */
export function projectPath(reader: NodeReader, text: string, folder: string): string | undefined {
  if (text.startsWith("~")) return reader.policy("is in a home folder", "Use a path below the project's folder.");
  const path = realPath(resolve(folder, text));
  if (SOCKETS.test(text) || SOCKETS.test(path))
    return reader.policy(
      "reaches a container engine's socket",
      "Remove it: it would give the service the whole machine.",
    );
  if (!isBeneath(folder, path))
    return reader.policy(`leads outside the project's folder (${text})`, "Use a path below the project's folder.");
  return path;
}

const isPath = (text: string): boolean => /^(?:\.{1,2}(?:\/|$)|\/|~|[A-Za-z]:[\\/])/.test(text);

function target(reader: NodeReader, text: string | undefined): string | undefined {
  if (text?.startsWith("/") && !text.split("/").includes("..")) return text;
  return reader.invalid("has no absolute path inside the service", "Write it as in data:/var/lib/data.");
}

function short(reader: NodeReader, folder: string): Mount | undefined {
  const text = reader.string("a volume");
  if (text === undefined) return undefined;
  const [source = "", inside, mode = "rw", ...rest] = text.split(":");
  if (inside === undefined || rest.length > 0)
    return reader.invalid("is not `source:target[:ro]`", "Name the volume, as in data:/var/lib/data.");
  const to = target(reader, inside);
  const options = mode.split(",");
  if (!options.every((option) => ["ro", "rw", "z", "Z", "cached", "delegated", "consistent"].includes(option)))
    return reader.invalid(`has the unknown option ${mode}`, "Use ro or rw.");
  if (to === undefined) return undefined;
  return finish(reader, source, to, options.includes("ro"), folder);
}

function finish(reader: NodeReader, source: string, to: string, readOnly: boolean, folder: string): Mount | undefined {
  if (isPath(source)) {
    const path = projectPath(reader, source, folder);
    return path === undefined ? undefined : { type: "bind", source: path, target: to, readOnly };
  }
  if (!VOLUME_NAME.test(source))
    return reader.invalid("names no volume and no path", "Name the volume, or begin a path with ./");
  return { type: "volume", source, target: to, readOnly };
}

function long(reader: NodeReader, folder: string): Mount | undefined {
  const fields = reader.fields(["type", "source", "target", "read_only", "tmpfs", "volume", "bind"]);
  const type = fields.type?.oneOf(["volume", "bind", "tmpfs"]) ?? (fields.type ? undefined : "volume");
  const to = target(fields.target ?? reader, fields.target?.string("a path"));
  if (type === undefined || to === undefined) return undefined;
  if (type === "tmpfs") {
    const size = given(fields.tmpfs) ? fields.tmpfs.fields(["size", "mode"]).size : undefined;
    const bytes = size === undefined ? undefined : parseBytes(size.string("a size") ?? "");
    if (bytes === null) return size?.invalid("must be a size", "Write it as in 64m.");
    return { type, target: to, ...(bytes === undefined ? {} : { sizeBytes: bytes }) };
  }
  const source = fields.source?.string("a path or a volume");
  if (source === undefined) return reader.invalid("has no source", "Give `source`.");
  const readOnly = given(fields.read_only) ? (fields.read_only.boolean() ?? false) : false;
  if (type === "bind") return finish(reader, isPath(source) ? source : `./${source}`, to, readOnly, folder);
  if (isPath(source)) return reader.invalid("is a path", "Use `type: bind` for a path.");
  return finish(reader, source, to, readOnly, folder);
}

export function readMounts(volumes: NodeReader | undefined, tmpfs: NodeReader | undefined, folder: string): Mount[] {
  const mounts: Mount[] = [];
  const add = (reader: NodeReader, mount: Mount | undefined): void => {
    if (mount === undefined) return;
    if (mounts.some((other) => other.target === mount.target))
      reader.invalid(`mounts ${mount.target} a second time`, "Mount each path once.");
    else mounts.push(mount);
  };
  for (const item of volumes?.list() ?? []) add(item, item.isMap ? long(item, folder) : short(item, folder));
  const temporary = tmpfs === undefined ? [] : tmpfs.isList ? tmpfs.list() : given(tmpfs) ? [tmpfs] : [];
  for (const item of temporary) {
    const [path, options = ""] = (item.string("a path") ?? "").split(":");
    const to = target(item, path);
    const size = /(?:^|,)size=([^,]+)/.exec(options)?.[1];
    const bytes = size === undefined ? undefined : parseBytes(size);
    if (bytes === null) item.invalid("must have a size such as 64m", "Write it as in /run:size=64m.");
    else if (to !== undefined)
      add(item, { type: "tmpfs", target: to, ...(bytes === undefined ? {} : { sizeBytes: bytes }) });
  }
  return mounts;
}
