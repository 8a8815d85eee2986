/** Reads secrets and configs that are mounted as files. */

import type { FileMount } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";

/** Parses permission bits in octal digits, or as a decimal number (288 is 0o440). Returns null for other text. */
export function parseMode(text: string): number | null {
  const octal = /^(?:0o?)?([0-7]{3,4})$/.exec(text)?.[1];
  if (octal !== undefined) return Number.parseInt(octal, 8);
  return /^\d{1,4}$/.test(text) && Number(text) <= 0o7777 ? Number(text) : null;
}

function owner(reader: NodeReader | undefined): number | undefined {
  return hasValue(reader) ? reader.number(0, 4_294_967_294) : undefined;
}

/** Reads a mode. An unquoted mode is a number that YAML has already read as octal; a quoted one has octal digits. */
function modeOf(reader: NodeReader | undefined): number | undefined {
  if (!hasValue(reader)) return undefined;
  const { tree } = reader;
  if (tree.kind === "scalar" && typeof tree.value === "number") {
    if (Number.isInteger(tree.value) && tree.value >= 0 && tree.value <= 0o7777) return tree.value;
  } else {
    const text = reader.string("a mode") ?? "";
    if (/^0?o?[0-7]{1,4}$/.test(text)) return Number.parseInt(text.replace("o", ""), 8);
  }
  return reader.invalid("must be permission bits", 'Write octal digits, as in "0440".');
}

/** Reads file mounts. A plain target name is below /run/secrets for a secret, and below / for a config. */
export function readFileMounts(reader: NodeReader | undefined, kind: "secret" | "config"): FileMount[] {
  const files = new Map<string, FileMount>();
  for (const item of reader?.list() ?? []) {
    const fields: Partial<Record<"source" | "target" | "uid" | "gid" | "mode", NodeReader>> = item.isMap
      ? item.fields(["source", "target", "uid", "gid", "mode"])
      : { source: item };
    const source = (fields.source ?? item).string(`a ${kind}'s name`);
    const written = hasValue(fields.target) ? fields.target.string("a path") || source : source;
    if (source === undefined || written === undefined) continue;
    const target =
      kind === "secret"
        ? written.replace(/^\/run\/secrets\/(?=[^/]+$)/, "")
        : written.startsWith("/")
          ? written
          : `/${written}`;
    if (target.split("/").includes("..") || target.endsWith("/") || /^[.]{1,2}$/.test(target)) {
      item.invalid("has a target that is not a file's path", "Write a plain name, or an absolute path without `..`.");
      continue;
    }
    const [uid, gid, mode] = [owner(fields.uid), owner(fields.gid), modeOf(fields.mode)];
    files.set(target, {
      source,
      target: target.startsWith("/") || !target.includes("/") ? target : `/run/secrets/${target}`,
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(mode === undefined ? {} : { mode }),
    });
  }
  return [...files.values()];
}
