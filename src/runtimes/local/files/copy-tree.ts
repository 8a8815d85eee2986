/**
 * Copies a project's sources for a service. Entries are copied from open descriptors: a user with write access to the
 * project cannot make the server read a file outside of it by replacing a folder or a file with a link during the copy.
 */
import { mkdir, readlink, symlink, unlink } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { closeBeneath, openBeneath, UnsafePathError } from "../../../system/open-beneath.js";
import { realPath } from "../../../system/real-path.js";
import { isRootServer } from "../../../system/root-server.js";
import type { ServiceUser } from "../types.js";
import { Budget, type Limits } from "./budget.js";
import { CHUNK, copyContent } from "./copy-content.js";
import { type Entry, Folder } from "./folder.js";

const MAX_DEPTH = 200;

export interface CopyRequest {
  /** The project's folder, as a path without links. */
  from: string;
  /**
   * Destination, which must not exist. Its parent belongs to the server, and other users have no access to the copy
   * until this returns.
   */
  to: string;
  user: Pick<ServiceUser, "uid" | "gid">;
  /** Whether an entry is left out, by its path relative to `from`. */
  exclude(path: string): boolean;
  limits: Limits;
  /** Creates the error for a copy that exceeds its limits. */
  tooLarge(what: keyof Limits | "depth"): Error;
}

class Copy {
  files = 0;
  readonly #links: string[] = [];
  readonly #budget: Budget;
  readonly #isRoot = isRootServer();
  readonly #buffer = Buffer.allocUnsafe(CHUNK);

  constructor(private readonly request: CopyRequest) {
    this.#budget = new Budget(request.limits, (what) => request.tooLarge(what));
  }

  async folder(source: Folder, inner: string, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw this.request.tooLarge("depth");
    await mkdir(join(this.request.to, inner), { mode: 0o700 });
    for (const name of await source.names(this.#budget.entriesLeft + 1)) {
      // Sources are addressed by text.
      if (typeof name !== "string") continue;
      const path = inner === "" ? name : `${inner}/${name}`;
      if (this.request.exclude(path)) continue;
      this.#budget.entry();
      await this.#entry(source, name, path, depth);
    }
    // Other users cannot enter the copy yet: the caller changes the owner of its top folder last.
    if (inner !== "") await this.#give(inner);
  }

  async #entry(source: Folder, name: string, path: string, depth: number): Promise<void> {
    const entry = await source.entry(name);
    if (entry === null) return;
    try {
      const { stats } = entry;
      if (stats.isFile()) await this.#file(entry, path);
      else if (stats.isSymbolicLink()) await this.#link(source, name, path);
      else if (stats.isDirectory()) {
        const folder = await Folder.open(`${entry.path}/.`);
        try {
          await this.folder(folder, path, depth + 1);
        } finally {
          await folder.close();
        }
      }
    } finally {
      await entry.close();
    }
  }

  async #file({ path: from, stats }: Entry, path: string): Promise<void> {
    this.#budget.expectBytes(stats.size);
    const { to, user } = this.request;
    await copyContent(from, join(to, path), {
      mode: (stats.mode & 0o700) | 0o600,
      buffer: this.#buffer,
      part: (bytes) => this.#budget.bytes(bytes),
      complete: async (target) => {
        if (this.#isRoot) await target.chown(user.uid, user.gid);
      },
    });
    this.files += 1;
  }

  async #link(source: Folder, name: string, path: string): Promise<void> {
    const text = await readlink(source.at(name)).catch(() => null);
    if (text === null || isAbsolute(text)) return;
    const top = this.request.to;
    if (!isBeneath(top, resolve(join(top, path), "..", text))) return;
    await symlink(text, join(top, path));
    this.#links.push(path);
  }

  async #give(inner: string): Promise<void> {
    if (!this.#isRoot) return;
    const folder = await Folder.open(join(this.request.to, inner));
    try {
      await folder.chown(this.request.user.uid, this.request.user.gid);
    } finally {
      await folder.close();
    }
  }

  /**
   * Checks links in the finished copy, which no longer changes: a link whose own target looks safe can still lead out
   * through another link.
   */
  async removeLinksOutside(): Promise<void> {
    const top = realPath(this.request.to);
    for (const path of this.#links) {
      try {
        const target = openBeneath(path, top);
        if (target !== undefined) closeBeneath(target);
      } catch (error) {
        if (!(error instanceof UnsafePathError)) throw error;
        await unlink(join(this.request.to, path));
      }
    }
  }
}

/**
 * Copies regular files, folders, and links that stay inside. Other links and special files are left out.
 * @returns the number of files
 * @throws the error that `tooLarge` creates
 */
export async function copyTree(request: CopyRequest): Promise<number> {
  const copy = new Copy(request);
  const top = openBeneath(".", request.from);
  if (top === undefined) return 0;
  try {
    const folder = await Folder.open(top.fd < 0 ? top.real : `/proc/self/fd/${top.fd}/.`);
    try {
      await copy.folder(folder, "", 0);
    } finally {
      await folder.close();
    }
  } finally {
    closeBeneath(top);
  }
  await copy.removeLinksOutside();
  return copy.files;
}

/** Path of `inner` relative to `folder`, for `exclude`; undefined when it lies elsewhere. */
export function relativeBelow(folder: string, path: string): string | undefined {
  const inner = relative(folder, path);
  return inner === "" || !isBeneath(folder, path) ? undefined : inner.split(sep).join("/");
}
