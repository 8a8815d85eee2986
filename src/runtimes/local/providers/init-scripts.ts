/** Initialisation scripts of database images (`/docker-entrypoint-initdb.d`). */
import { basename, join, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { listBeneath } from "../../../system/list-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { copyTree } from "../files/copy-tree.js";
import { openToOwner } from "../files/create.js";
import type { PrepareContext } from "./launch-plan.js";

const INIT_FOLDER = "/docker-entrypoint-initdb.d";
const MOST = 1000;
/** Limits of the copy: entries, bytes, milliseconds. */
const LIMITS = { entries: 5000, bytes: 1024 ** 3, milliseconds: 60_000 };

/**
 * Runs the scripts that are the remaining parameters, as the official images do, and stops the server. Expects the
 * functions `sql` (statements from standard input), `sql_file` and `stop`; ends with code 3 when a script fails.
 */
export const RUN_INIT_SCRIPTS = `run() {
  case "$1" in
    *.sh) if [ -x "$1" ]; then "$1"; else . "$1"; fi ;;
    *.sql) sql_file "$1" ;;
    *.sql.gz) gunzip -c "$1" | sql ;;
    *.sql.xz) xzcat "$1" | sql ;;
    *.sql.zst) zstd -dc "$1" | sql ;;
    *) echo "ignoring $1" ;;
  esac
}
for script in "$@"; do
  echo "running $(basename "$script")"
  (set -e; run "$script") || { status=$?; echo "$(basename "$script") failed with exit code $status" >&2; stop; exit 3; }
done
stop`;

export const isInitMount = (target: string): boolean => isBeneath(INIT_FOLDER, target);

export interface InitScripts {
  /** Names in the order in which they run. */
  names: string[];
  /**
   * Copies them into folders beside `to`, which do not exist yet, for the service's user.
   * @returns the paths, in the order in which they run
   */
  copy(to: string): Promise<string[]>;
}

interface Source {
  /** Name in the folder of scripts. */
  name: string;
  path: string;
}

/** @returns undefined when the service has none */
export async function initScripts(context: PrepareContext): Promise<InitScripts | undefined> {
  const { request, stack, user } = context;
  const { folder } = stack;
  const sources = new Map<string, Source>();
  for (const mount of request.service.mounts) {
    if (mount.type !== "bind" || !isInitMount(mount.target)) continue;
    if (!isBeneath(folder, mount.source))
      throw new StackwardenError(
        "UNSUPPORTED",
        `The initialisation scripts of "${request.service.name}" are outside of the project's folder.`,
        { hint: `Move ${mount.source} into the project.` },
      );
    const isFolder = statBeneath(mount.source, folder)?.kind === "folder";
    const names = isFolder ? (listBeneath(mount.source, folder, MOST) ?? []) : [basename(mount.source)];
    for (const name of names) {
      const shown = isFolder ? name : basename(mount.target);
      const path = isFolder ? join(mount.source, name) : mount.source;
      if (statBeneath(path, folder)?.kind === "file") sources.set(shown, { name: shown, path });
    }
  }
  if (sources.size === 0) return undefined;
  const ordered = [...sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    names: ordered.map(({ name }) => name),
    copy: async (to) => {
      const places: string[] = [];
      for (const [at, { name, path }] of ordered.entries()) {
        const place = `${to}-${at}`;
        const prefix = relative(folder, path);
        await copyTree({
          from: folder,
          to: place,
          user,
          exclude: (one) => one !== prefix && !prefix.startsWith(`${one}/`),
          limits: LIMITS,
          tooLarge: () =>
            new StackwardenError("UNSUPPORTED", `The initialisation script ${name} is larger than 1 GiB.`, {
              hint: "Load such data with run_command after the start.",
            }),
        });
        await openToOwner(place, user);
        places.push(join(place, prefix));
      }
      return places;
    },
  };
}
