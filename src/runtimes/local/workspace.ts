/**
 * The working directory of an app service: the project's folder, so that development servers reload on changes, or a
 * copy when its user cannot read that folder or when files must lie beside the sources (node_modules).
 */
import { dirname, join, relative } from "node:path";
import { StackwardenError } from "../../errors.js";
import { RUNS_ON_COPY } from "../../stack/runtime.js";
import { isBeneath } from "../../system/is-beneath.js";
import { UnsafePathError } from "../../system/open-beneath.js";
import { statBeneath } from "../../system/read-regular-file.js";
import { isRootServer } from "../../system/root-server.js";
import { copyTree, relativeBelow } from "./files/copy-tree.js";
import { ensureDir, linkInCopy, moveInto, openToOwner } from "./files/create.js";
import { isReadableFolder } from "./files/readable.js";
import { removeTree } from "./files/remove-tree.js";
import { withStorage } from "./files/storage.js";
import type { ProcessHost, ServiceUser } from "./types.js";

/** Names that are never copied: history, installed dependencies, caches. */
const LEFT_OUT = new Set([".git", "node_modules", ".venv", "venv", "__pycache__"]);
/** Limits of a copy: entries, bytes, milliseconds. */
const COPY_LIMITS = { entries: 100_000, bytes: 2 * 1024 ** 3, milliseconds: 5 * 60_000 };

export interface Workspace {
  /** The project's folder, or its copy. */
  root: string;
  cwd: string;
  copied: boolean;
  notes: string[];
}

export interface WorkspaceRequest {
  folder: string;
  /** Absolute path inside the folder. */
  workingDir: string;
  stateDir: string;
  service: string;
  user: ServiceUser;
  host: Pick<ProcessHost, "accessible">;
  /** The reason why a copy is needed in any case. */
  copyBecause?: string;
  /** Folders of links that the copy gets, e.g. `web/node_modules` with the installed packages. */
  links?: CopyLinks[];
  /** The same, when a copy is made for another reason than `copyBecause`. */
  linksIfCopied?(): Promise<CopyLinks[]>;
}

export interface CopyLinks {
  /** Relative to the project's folder. */
  at: string;
  /** Absolute target of each link by its name. */
  targets: ReadonlyMap<string, string>;
}

/** Whether the user can enter the working directory and read its direct entries. Hidden files may be private. */
async function readable({ folder, workingDir, user, host }: WorkspaceRequest): Promise<boolean> {
  if (!(await host.accessible(folder, user, "execute", folder))) return false;
  return isReadableFolder(workingDir, folder, user, (name) => name.startsWith(".") || LEFT_OUT.has(name));
}

const tooLarge = (): StackwardenError =>
  new StackwardenError("UNSUPPORTED", "The project's folder is too large to run on a copy of it.", {
    hint: "Make the folder readable for unprivileged users (chmod o+rX on it and the folders above), then no copy is needed.",
  });

/**
 * Copies a project's sources. Links that stay inside are kept, others are left out: the copy is made with the server's
 * privileges and read with the service's. The folder's own `.env` is left out too; the service already has its
 * variables.
 * @param to must not exist, in a folder that only the server can enter or change
 * @returns the number of files
 */
async function copySources(
  from: string,
  to: string,
  exclude: string[],
  user: Pick<ServiceUser, "uid" | "gid">,
): Promise<number> {
  const excluded = new Set([".env", ...exclude.flatMap((path) => relativeBelow(from, path) ?? [])]);
  return copyTree({
    from,
    to,
    user,
    exclude: (path) => excluded.has(path) || LEFT_OUT.has(path.slice(path.lastIndexOf("/") + 1)),
    limits: COPY_LIMITS,
    tooLarge,
  });
}

async function freshCopy(request: WorkspaceRequest): Promise<string> {
  const { stateDir, service, folder, user, links = [] } = request;
  await ensureDir(join(stateDir, "work"), 0o711);
  const base = await ensureDir(join(stateDir, "work", service), 0o711);
  const building = join(base, "building");
  const final = join(base, "src");
  await withStorage("Copying the project's sources", async () => {
    await removeTree(building, stateDir);
    try {
      await copySources(folder, building, [stateDir, dirname(dirname(stateDir))], user);
      for (const { at, targets } of links) await linkInCopy(building, at, targets, user);
      await openToOwner(building, user);
    } catch (error) {
      await removeTree(building, stateDir).catch(() => {});
      throw error;
    }
    // Create a new copy and swap it in, so that files deleted from the project disappear from the copy too.
    await removeTree(final, stateDir);
    await moveInto(building, final);
  });
  return final;
}

/**
 * Checks that a path is a folder of the project.
 * @returns its path without links
 */
function projectFolder({ folder, workingDir }: WorkspaceRequest): string | null {
  try {
    const entry = statBeneath(workingDir, folder);
    return entry?.kind === "folder" ? entry.path : null;
  } catch (error) {
    if (error instanceof UnsafePathError) return null;
    throw error;
  }
}

/** @throws INVALID_STACK when the working directory does not exist, STORAGE_FAILED, UNSUPPORTED (too large to copy) */
export async function prepareWorkspace(request: WorkspaceRequest): Promise<Workspace> {
  const { folder } = request;
  const workingDir = isBeneath(folder, request.workingDir) ? projectFolder(request) : null;
  if (workingDir === null) {
    throw new StackwardenError(
      "INVALID_STACK",
      `The working directory of "${request.service}" is not a folder of the project.`,
      {
        hint: `Create ${relative(folder, request.workingDir) || "the folder"} or correct services.${request.service}.x-local.working_dir.`,
      },
    );
  }
  const because =
    request.copyBecause ??
    ((await readable(request))
      ? undefined
      : "its user cannot read the project's folder (chmod o+rX would change that)");
  if (because === undefined) return { root: folder, cwd: workingDir, copied: false, notes: [] };
  if (!isRootServer() && request.copyBecause === undefined) {
    throw new StackwardenError("STORAGE_FAILED", "The project's folder cannot be read.", {
      hint: "Make it readable for the user that runs stackwarden.",
    });
  }
  const root = await freshCopy({ ...request, links: request.links ?? (await request.linksIfCopied?.()) ?? [] });
  return {
    root,
    cwd: join(root, relative(folder, workingDir)),
    copied: true,
    notes: [`${RUNS_ON_COPY}, created again at every start: ${because}. Restart it to see changes.`],
  };
}
