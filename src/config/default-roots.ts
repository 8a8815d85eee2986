/** The working directory is the allowed root where none is named, unless it holds everything that a user or a machine has. */
import { userInfo } from "node:os";
import { dirname, resolve } from "node:path";

/** Desktop clients start servers in `/` or in the home folder. */
export function isNoDefaultRoot(folder: string, env: NodeJS.ProcessEnv): boolean {
  const homes = [env.HOME, env.USERPROFILE, accountHome()].filter((one) => one !== undefined && one !== "");
  const tooWide = new Set(["/", "/home", "/Users", "/root", ...homes.map((one) => resolve(one as string))]);
  return tooWide.has(folder) || ["/home", "/Users", folder].includes(dirname(folder));
}

function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    // A user without an entry in the password file.
    return undefined;
  }
}
