/** The owner of a new volume in numbers. */
import type { Container } from "@dagger.io/dagger";

const isNumber = (word: string): boolean => /^\d+$/.test(word);

/** The number of a name in a file of the image (`/etc/passwd`, `/etc/group`). */
async function numberOf(container: Container, file: string, name: string): Promise<string | undefined> {
  const rows = (await container.file(file).contents()).split("\n").map((line) => line.split(":"));
  return rows.find(([first]) => first === name)?.[2];
}

/**
 * `uid:gid` of a user of the image. Part of a cache volume's identity is its owner: as a name it would change with the
 * image. Without a group it is the one of the same number, as the engine has it.
 * @returns the user unchanged when the image does not have it; the engine then says so
 */
export async function ownerNumbers(container: Container, user: string): Promise<string> {
  const [name = "", group] = user.split(":");
  const uid = isNumber(name) ? name : await numberOf(container, "/etc/passwd", name);
  const gid = group === undefined ? uid : isNumber(group) ? group : await numberOf(container, "/etc/group", group);
  return uid === undefined || gid === undefined ? user : `${uid}:${gid}`;
}
