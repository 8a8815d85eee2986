/** Numeric ids of a container's user, read from /etc/passwd and /etc/group of the image. */
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { extract } from "tar-stream";
import { isNotFound } from "../engine/errors.js";

export interface UserIds {
  uid: number;
  gid: number;
}

const LARGEST = 1024 * 1024;

/** Reads a small file of a container, running or not; null when it does not exist. */
export async function readFileOf(docker: Docker, container: string, path: string): Promise<string | null> {
  let stream: Readable;
  try {
    stream = (await docker.getContainer(container).getArchive({ path })) as unknown as Readable;
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const reader = extract();
    reader.on("entry", (_header, entry, next) => {
      entry.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= LARGEST) parts.push(chunk);
      });
      entry.once("end", next);
    });
    reader.once("finish", () => resolve(Buffer.concat(parts).toString()));
    for (const one of [stream, reader]) one.once("error", reject);
    stream.pipe(reader);
  });
}

const field = (text: string, name: string, at: number): number | null => {
  const line = text.split("\n").find((one) => one.startsWith(`${name}:`));
  const value = Number(line?.split(":")[at] ?? Number.NaN);
  return Number.isInteger(value) ? value : null;
};

const byUid = (passwd: string, uid: number): number | null => {
  const line = passwd.split("\n").find((one) => one.split(":")[2] === String(uid));
  const gid = Number(line?.split(":")[3] ?? Number.NaN);
  return Number.isInteger(gid) ? gid : null;
};

/** @returns null for a name that the files do not contain */
export function resolveUser(user: string, passwd: string, group: string): UserIds | null {
  const [name = "", groupName] = user.split(":");
  const uid = name === "" ? 0 : /^\d+$/.test(name) ? Number(name) : field(passwd, name, 2);
  if (uid === null) return null;
  const own = /^\d*$/.test(name) ? (byUid(passwd, uid) ?? 0) : (field(passwd, name, 3) ?? 0);
  if (groupName === undefined) return { uid, gid: own };
  const gid = /^\d+$/.test(groupName) ? Number(groupName) : field(group, groupName, 2);
  return gid === null ? null : { uid, gid };
}

/** Cached by image and user: the content of an image never changes. */
const cache = new Map<string, UserIds | null>();

/** @returns undefined before the first look into the image */
export const knownUserIds = (image: string, user: string): UserIds | null | undefined => cache.get(`${image} ${user}`);

/** @param container a created or running container of the image */
export async function userIds(docker: Docker, container: string, image: string, user: string): Promise<UserIds | null> {
  const numeric = /^(\d+):(\d+)$/.exec(user);
  if (numeric !== null) return { uid: Number(numeric[1]), gid: Number(numeric[2]) };
  const key = `${image} ${user}`;
  const before = cache.get(key);
  if (before !== undefined) return before;
  // For each file the engine starts a process. Only a group's name needs the second one.
  const files = /:.*\D/.test(user) ? ["/etc/passwd", "/etc/group"] : ["/etc/passwd"];
  const [passwd, group] = await Promise.all(files.map((path) => readFileOf(docker, container, path)));
  const ids = resolveUser(user, passwd ?? "", group ?? "");
  cache.set(key, ids);
  return ids;
}
