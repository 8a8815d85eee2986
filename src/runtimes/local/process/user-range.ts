/** The range of user ids for services on this machine. */
import { readFile } from "node:fs/promises";

/** Above the ids of people, packages and systemd's dynamic users, and below those of systemd's containers. */
export const FIRST_UID = 200_000;
export const LAST_UID = 524_287;

export const isServiceUid = (uid: number): boolean => Number.isInteger(uid) && uid >= FIRST_UID && uid <= LAST_UID;

/** Inclusive. */
type Range = readonly [first: number, last: number];

const lines = async (file: string): Promise<string[][]> =>
  (await readFile(file, "utf8").catch(() => "")).split("\n").map((line) => line.split(":"));

/** Reserved ids: users and groups of this machine, and the subordinate ranges of containers. */
export async function takenIds(etc = "/etc"): Promise<(uid: number) => boolean> {
  const ranges: Range[] = [];
  for (const file of ["passwd", "group"])
    for (const [, , id = ""] of await lines(`${etc}/${file}`))
      if (/^\d+$/.test(id)) ranges.push([Number(id), Number(id)]);
  for (const file of ["subuid", "subgid"])
    for (const [, first = "", count = ""] of await lines(`${etc}/${file}`))
      if (/^\d+$/.test(first) && /^\d+$/.test(count)) ranges.push([Number(first), Number(first) + Number(count) - 1]);
  return (uid) => ranges.some(([first, last]) => uid >= first && uid <= last);
}
