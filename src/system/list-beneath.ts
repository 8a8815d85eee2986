/** Names in a folder of a project, without following a link out of it. */
import { opendirSync } from "node:fs";
import { closeBeneath, openBeneath } from "./open-beneath.js";

/**
 * @param most names at most
 * @returns undefined when the path is missing or not a folder
 * @throws UnsafePathError when it leads outside `within`
 */
export function listBeneath(path: string, within: string, most: number): string[] | undefined {
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return undefined;
  try {
    if (!beneath.stats.isDirectory()) return undefined;
    const names: string[] = [];
    const folder = opendirSync(beneath.fd < 0 ? beneath.real : `/proc/self/fd/${beneath.fd}/.`);
    try {
      for (let entry = folder.readSync(); entry !== null && names.length < most; entry = folder.readSync())
        names.push(entry.name);
    } finally {
      folder.closeSync();
    }
    return names;
  } finally {
    closeBeneath(beneath);
  }
}
