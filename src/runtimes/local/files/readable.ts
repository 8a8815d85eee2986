/** Checks by permission bits whether the user of a service can use a folder of the project. No file is opened. */
import { constants, type Stats } from "node:fs";
import { access } from "node:fs/promises";
import { closeBeneath, openBeneath } from "../../../system/open-beneath.js";
import { isRootServer } from "../../../system/root-server.js";
import type { ServiceUser } from "../types.js";
import { Folder } from "./folder.js";
import { codeOf } from "./storage.js";

const READ = constants.R_OK;
const READ_AND_ENTER = constants.R_OK | constants.X_OK;
/** Maximum number of entries that are checked. */
const MOST = 200;

const allows = ({ uid, gid, mode }: Stats, user: Pick<ServiceUser, "uid" | "gid">, bits: number): boolean => {
  const mine = uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode;
  return (mine & bits) === bits;
};

/**
 * Whether the user can enter a folder and read its direct entries. Access control lists are ignored: where one would
 * grant more, the result is false.
 * @param within the project's folder; the caller checks its parent folders
 * @param skip names that are not checked
 */
export async function isReadableFolder(
  path: string,
  within: string,
  user: Pick<ServiceUser, "uid" | "gid">,
  skip: (name: string) => boolean,
): Promise<boolean> {
  const asOwnUser = !isRootServer();
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return false;
  try {
    if (!asOwnUser && !allows(beneath.stats, user, READ_AND_ENTER)) return false;
    const folder = await Folder.open(beneath.fd < 0 ? beneath.real : `/proc/self/fd/${beneath.fd}/.`);
    try {
      const names = (await folder.names(10 * MOST)).filter((name) => !skip(name.toString()));
      for (const name of names.slice(0, MOST)) {
        const entry = await folder.entry(name);
        if (entry === null) continue;
        const { stats } = entry;
        await entry.close();
        if (stats.isSymbolicLink()) continue;
        const isReadable = asOwnUser
          ? await access(folder.at(name), READ).then(
              () => true,
              () => false,
            )
          : allows(stats, user, stats.isDirectory() ? READ_AND_ENTER : READ);
        if (!isReadable) return false;
      }
      return true;
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (codeOf(error) === "EACCES") return false;
    throw error;
  } finally {
    closeBeneath(beneath);
  }
}
