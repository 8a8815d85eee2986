/** One unprivileged user for each service, where the server may give it (as root); remembered, since data belongs to it. */
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { StackwardenError } from "../../../stack/errors.js";
import { writeWhole } from "../../../stack/project-store.js";
import type { Enforcement } from "../../../stack/runtime.js";
import { Serial } from "../../../stack/serial.js";
import type { ServiceUser } from "../types.js";

/** No distribution gives these to people or packages by itself. */
const FIRST_UID = 70_000;
const LAST_UID = 79_999;

const OWN: Enforcement = { level: "enforced", reason: "a user of its own" };

export class ServiceUsers {
  readonly #file: string;
  readonly #serial = new Serial();
  #uids: Map<string, number> | null = null;

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
      return { uid, gid, name: userInfo().username, enforcement: this.enforcement() };
    }
    const uid = await this.#serial.run(() => this.#allocate(`${project}/${service}`));
    return { uid, gid: uid, name: String(uid), enforcement: OWN };
  }

  async #allocate(key: string): Promise<number> {
    this.#uids ??= await this.#load();
    const known = this.#uids.get(key);
    if (known !== undefined) return known;
    const taken = new Set(this.#uids.values());
    let uid = FIRST_UID;
    while (taken.has(uid)) uid += 1;
    if (uid > LAST_UID)
      throw new StackwardenError("STORAGE_FAILED", `All user ids from ${FIRST_UID} to ${LAST_UID} are given.`, {
        hint: `Remove projects that are not used any more from ${this.#file}.`,
      });
    const next = new Map([...this.#uids, [key, uid]]);
    await writeWhole(this.#file, `${JSON.stringify(Object.fromEntries(next), null, 2)}\n`);
    this.#uids = next;
    return uid;
  }

  async #load(): Promise<Map<string, number>> {
    const text = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw damaged(this.#file, error);
    });
    try {
      const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
      const valid = entries.every(
        ([, uid]) => Number.isInteger(uid) && Number(uid) >= FIRST_UID && Number(uid) <= LAST_UID,
      );
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
