/** Finds other users that can change the target of a path: its directories, its links, or the target itself. */
import { lstat, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";

const MOST_LINKS = 40;
/** Owner that files of unmapped users seem to have in a user namespace. */
const OVERFLOW_UID = 65_534;

export interface TrustRules {
  uid: number | undefined;
  gid: number | undefined;
  /** What is at the end must not be writable even where it is sticky. Default: what lies in it must not either. */
  end?: "file" | "directory";
  /** Directories of the administrator. Their group can write, and the account that maintains them can own them. */
  administrators?: boolean;
  /** Directories whose owner counts as an administrator of the machine. */
  ownedByAdministrator?(path: string): boolean;
}

export interface TrustedPath {
  /** Without links. */
  real: string;
  /** Why another user could change it; null when none can but root and this user. */
  reason: string | null;
}

/** Follows an absolute path link by link. @throws the system's error for what does not exist */
export async function followTrusted(path: string, rules: TrustRules): Promise<TrustedPath> {
  let links = 0;
  let at = "/";
  let rest = path.split("/").filter((part) => part !== "" && part !== ".");
  // What a sticky directory holds belongs to its owner; only a directory of programs must not be sticky and open.
  const depth = rules.end === "directory" ? 0 : 1;
  const top = changeable(await lstat("/"), "/", rules, false);
  if (top !== null) return { real: at, reason: top };
  let sticky = false;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === "..") {
      at = dirname(at);
      continue;
    }
    const next = join(at, part);
    const info = await lstat(next);
    if (info.isSymbolicLink()) {
      links += 1;
      if (links > MOST_LINKS) return { real: next, reason: "too many symbolic links" };
      // In a sticky directory only the owner of a link can replace it.
      if (sticky && info.uid !== 0 && info.uid !== rules.uid) {
        return { real: next, reason: `the link ${next} belongs to user ${info.uid}` };
      }
      const target = await readlink(next);
      if (isAbsolute(target)) at = "/";
      rest = [...target.split("/").filter((one) => one !== "" && one !== "."), ...rest];
      sticky = false;
      continue;
    }
    const reason = changeable(info, next, rules, info.isDirectory() && rest.length > depth);
    if (reason !== null) return { real: next, reason };
    sticky = (info.mode & 0o1000) !== 0;
    at = next;
  }
  return { real: at, reason: null };
}

function changeable(
  info: { mode: number; uid: number; gid: number },
  path: string,
  { uid, gid, administrators = false, ownedByAdministrator }: TrustRules,
  stickyCounts: boolean,
): string | null {
  // In a user namespace that does not map root, the system's files appear to belong to the overflow user.
  const trusted = administrators && (uid !== 0 || info.uid === OVERFLOW_UID || ownedByAdministrator?.(path) === true);
  if (info.uid !== 0 && info.uid !== uid && !trusted) return `${path} belongs to user ${info.uid}`;
  // In a sticky directory other users cannot replace entries; the owner of the entry is checked next.
  if (stickyCounts && (info.mode & 0o1000) !== 0) return null;
  if ((info.mode & 0o002) !== 0) return `every user can write ${path}`;
  if ((info.mode & 0o020) !== 0 && !administrators && info.gid !== 0 && info.gid !== gid) {
    return `group ${info.gid} can write ${path}`;
  }
  return null;
}
