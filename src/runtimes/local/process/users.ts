/** One unprivileged user for each service, where the server may give it (as root); remembered, since data belongs to it. */
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { Enforcement } from "../../../stack/runtime.js";
import { atomicWrite, ensureTraversableDir } from "../../../system/atomic-write.js";
import { Mutex } from "../../../system/mutex.js";
import type { ServiceUser } from "../types.js";
import { withFileLock } from "./file-lock.js";

/** No distribution gives these to people or packages by itself. */
const FIRST_UID = 70_000;
const LAST_UID = 79_999;

const OWN: Enforcement = { level: "enforced", reason: "a user of its own" };

/** Containers often run as a user that has no name. */
function ownName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}

export class ServiceUsers {
  readonly #file: string;
  readonly #serial = new Mutex();
  #uids: ReadonlyMap<string, number> = new Map();

  constructor(
    stateDir: string,
    private readonly ids: { uid: number; gid: number } | null = process.getuid === undefined
      ? null
      : { uid: process.getuid(), gid: process.getgid?.() ?? -1 },
  ) {
    this.#file = join(stateDir, "uids.json");
  }

  enforcement(): Enforcement {
    return this.ids?.uid === 0
      ? OWN
      : {
          level: "none",
          reason: "Only root can give services users of their own: they run as the user that runs stackwarden.",
        };
  }

  /** @throws STORAGE_FAILED, also when all ids are given */
  async of(project: string, service: string): Promise<ServiceUser> {
    if (this.ids?.uid !== 0) {
      const { uid = -1, gid = -1 } = this.ids ?? {};
      return { uid, gid, name: ownName(uid), enforcement: this.enforcement() };
    }
    const uid = await this.#serial.run(() => this.#allocate(`${project}/${service}`));
    return { uid, gid: uid, name: String(uid), enforcement: OWN };
  }

  async #allocate(key: string): Promise<number> {
    const known = this.#uids.get(key);
    if (known !== undefined) return known;
    await ensureTraversableDir(dirname(this.#file));
    // Another server may share the state directory: no id may be given twice.
    return withFileLock(`${this.#file}.lock`, async () => {
      this.#uids = await this.#load();
      const uid = this.#uids.get(key) ?? this.#firstFree();
      if (!this.#uids.has(key)) {
        const next = new Map([...this.#uids, [key, uid]]);
        await atomicWrite(this.#file, `${JSON.stringify(Object.fromEntries(next), null, 2)}\n`);
        this.#uids = next;
      }
      return uid;
    });
  }

  #firstFree(): number {
    const taken = new Set(this.#uids.values());
    let uid = FIRST_UID;
    while (taken.has(uid)) uid += 1;
    if (uid <= LAST_UID) return uid;
    throw new StackwardenError("STORAGE_FAILED", `All user ids from ${FIRST_UID} to ${LAST_UID} are given.`, {
      hint: `Remove projects that are not used any more from ${this.#file}.`,
    });
  }

  async #load(): Promise<Map<string, number>> {
    const text = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw damaged(this.#file, error);
    });
    try {
      const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
      const inRange = entries.every(
        ([, uid]) => Number.isInteger(uid) && Number(uid) >= FIRST_UID && Number(uid) <= LAST_UID,
      );
      const valid = inRange && new Set(entries.map(([, uid]) => uid)).size === entries.length;
      // Another user's id would hand one service the other's data.
      if (!valid) throw new Error("not a map of user ids");
      return new Map(entries as [string, number][]);
    } catch (error) {
      throw damaged(this.#file, error);
    }
  }
}

const damaged = (file: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${file} is damaged or cannot be read.`, {
    hint: "Restore it from a backup: it says which user owns which service's data.",
    cause,
  });
