/**
 * Assigns an unprivileged user to each service when the server is root. The assignment is stored, because the service's
 * data belongs to that user.
 */
import { readFile, realpath } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { Enforcement } from "../../../stack/runtime.js";
import { atomicWrite, ensureTraversableDir } from "../../../system/atomic-write.js";
import { Mutex } from "../../../system/mutex.js";
import type { ServiceUser } from "../types.js";
import { allocateUid, registryDirectory } from "./user-registry.js";

const OWN: Enforcement = { level: "enforced", reason: "a separate user" };

/** Containers often run as a user without a name. */
function ownName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}

export class ServiceUsers {
  /** The ids in this state directory; the machine-wide record takes precedence. */
  readonly #file: string;
  readonly #serial = new Mutex();
  readonly #uids = new Map<string, number>();

  constructor(
    private readonly stateDir: string,
    private readonly ids: { uid: number; gid: number } | null = process.getuid === undefined
      ? null
      : { uid: process.getuid(), gid: process.getgid?.() ?? -1 },
    /** Paths of the machine-wide record and of /etc; for tests. */
    private readonly places: { registry?: string; etc?: string } = {},
  ) {
    this.#file = join(stateDir, "uids.json");
  }

  enforcement(): Enforcement {
    return this.ids?.uid === 0
      ? OWN
      : {
          level: "none",
          reason: "Only root can run services as separate users: they run as the user that runs stackwarden.",
        };
  }

  /** @throws STORAGE_FAILED, also when all ids are in use */
  async of(project: string, service: string): Promise<ServiceUser> {
    if (this.ids?.uid !== 0) {
      const { uid = -1, gid = -1 } = this.ids ?? {};
      return { uid, gid, name: ownName(uid), enforcement: this.enforcement() };
    }
    const uid = await this.#serial.run(() => this.#allocate(`${project}/${service}`));
    return { uid, gid: uid, name: String(uid), enforcement: OWN };
  }

  /**
   * The group of a volume that several services share; null when services have no separate users. Names of services
   * have no colon.
   * @throws STORAGE_FAILED
   */
  async groupOf(project: string, volume: string): Promise<number | null> {
    if (this.ids?.uid !== 0) return null;
    return this.#serial.run(() => this.#allocate(`${project}/volume:${volume}`));
  }

  async #allocate(key: string): Promise<number> {
    const cached = this.#uids.get(key);
    if (cached !== undefined) return cached;
    await ensureTraversableDir(dirname(this.#file));
    const uids = await this.#load();
    const { registry, etc } = this.places;
    const { uid, services } = await allocateUid(
      {
        directory: registry ?? (await registryDirectory()),
        stateDir: await realpath(this.stateDir),
        key,
        registered: uids,
      },
      etc,
    );
    if (uids.get(key) !== uid) await atomicWrite(this.#file, `${JSON.stringify(services, null, 2)}\n`);
    this.#uids.set(key, uid);
    return uid;
  }

  async #load(): Promise<Map<string, number>> {
    const text = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw damaged(this.#file, error);
    });
    try {
      const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
      const valid = entries.every(([, uid]) => Number.isInteger(uid) && Number(uid) > 0);
      if (!valid || new Set(entries.map(([, uid]) => uid)).size !== entries.length)
        throw new Error("not a map of user ids");
      return new Map(entries as [string, number][]);
    } catch (error) {
      throw damaged(this.#file, error);
    }
  }
}

const damaged = (file: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${file} is damaged or cannot be read.`, {
    hint: "Restore it from a backup: it records which user owns which service's data.",
    cause,
  });
