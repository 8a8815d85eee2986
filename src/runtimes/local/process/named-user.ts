/** Temporary account name of a service's user, for programs that reject a user id without one. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { StackwardenError } from "../../../errors.js";
import { isRootServer } from "../../../system/root-server.js";
import type { ServiceUser } from "../types.js";
import { isServiceUid } from "./user-range.js";

const execute = promisify(execFile);
const USERADD = "/usr/sbin/useradd";
const USERDEL = "/usr/sbin/userdel";
/** Another program may hold the lock of the account files; wait for it. */
const TRIES = 20;

const hasName = async (uid: number, name = "[^:]*"): Promise<boolean> =>
  new RegExp(`^${name}:[^:]*:${uid}:`, "m").test(await readFile("/etc/passwd", "utf8").catch(() => ""));
/** Not the temporary account of an earlier task, which can be removed at any moment. */
const LASTING = "(?!stackwarden-)[^:]*";

async function patiently(program: string, args: string[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await execute(program, args, { env: {}, cwd: "/", timeout: 10_000 });
      return;
    } catch (error) {
      if (attempt === TRIES) throw error;
      await sleep(100);
    }
  }
}

/**
 * Runs a task while /etc/passwd contains the user. A non-root server needs no account or cannot create one.
 * @throws RUNTIME_UNAVAILABLE when the account cannot be created
 */
export async function withName<T>({ uid }: Pick<ServiceUser, "uid">, task: () => Promise<T>): Promise<T> {
  if (!isRootServer() || !isServiceUid(uid) || (await hasName(uid, LASTING))) return task();
  const name = `stackwarden-${uid}`;
  // A system account gets no range of container ids and no mail file.
  const account = [
    "--system",
    "--uid",
    String(uid),
    "--gid",
    "65534",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
  ];
  try {
    if (!existsSync(USERADD)) throw new Error(`${USERADD} is missing`);
    await patiently(USERADD, [...account, "--shell", "/usr/sbin/nologin", name]);
  } catch (cause) {
    // An account that a killed server left serves as well; it is removed below.
    if (!(await hasName(uid)))
      throw new StackwardenError(
        "RUNTIME_UNAVAILABLE",
        `The service's user ${uid} has no name, and none can be given.`,
        {
          hint: "Install bubblewrap, which gives services separate account files; on Debian or Ubuntu: apt-get install -y bubblewrap",
          cause,
        },
      );
  }
  try {
    return await task();
  } finally {
    await patiently(USERDEL, ["--force", name]).catch(() => undefined);
  }
}
