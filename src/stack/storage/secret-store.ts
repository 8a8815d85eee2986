/**
 * A project's generated secrets. They are generated once and stored, because a new password would not match the data in
 * existing volumes. One JSON file, mode 0600, written atomically.
 */
import { randomBytes } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { StackwardenError } from "../../errors.js";
import { atomicWrite } from "../../system/atomic-write.js";

export interface SecretStore {
  /** Returns the stored secret of this name, else generates 32 random bytes as base64url and stores them. */
  generate(name: string): Promise<string>;
  /** All stored secrets by name. */
  all(): Record<string, string>;
  /** Replaces the secrets of these names with those of another project whose data is copied. */
  adopt(secrets: Record<string, string>): Promise<void>;
  /** All stored values, for redaction. */
  values(): string[];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const failed = (file: string, what: string, cause?: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `The secrets file ${file} ${what}.`, {
    hint: "Restore it from a backup. If you delete it, the next start generates new passwords, which existing databases refuse: delete their volumes too.",
    cause,
  });

async function read(file: string): Promise<Map<string, string>> {
  let text: string;
  try {
    const stats = await lstat(file);
    if (!stats.isFile()) throw failed(file, "is not a regular file");
    if (process.platform !== "win32" && (stats.mode & 0o077) !== 0)
      throw failed(file, "can be read by other users (mode must be 0600)");
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof StackwardenError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw failed(file, "cannot be read", error);
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw new Error("not an object");
    const entries = Object.entries(parsed);
    if (!entries.every((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== ""))
      throw new Error("a value is not a string");
    return new Map(entries);
  } catch (error) {
    throw failed(file, "is damaged", error);
  }
}

/**
 * @param file absolute path; its folder exists
 * @throws STORAGE_FAILED when the file exists but is damaged, readable by others, or cannot be read
 */
export async function openSecretStore(file: string): Promise<SecretStore> {
  const secrets = await read(file);
  const write = (present: Iterable<[string, string]>): Promise<void> =>
    atomicWrite(file, `${JSON.stringify(Object.fromEntries(present), null, 2)}\n`);
  let queue: Promise<unknown> = Promise.resolve();
  return {
    generate(name) {
      const next = queue.then(async () => {
        if (!NAME.test(name))
          throw new StackwardenError("INVALID_STACK", `"${name.slice(0, 64)}" is not a valid secret name.`, {
            hint: "Use letters, digits, dots, dashes and underscores, at most 128 of them.",
          });
        const stored = secrets.get(name);
        if (stored !== undefined) return stored;
        const generated = randomBytes(32).toString("base64url");
        await write([...secrets, [name, generated]]);
        secrets.set(name, generated);
        return generated;
      });
      // Serialise writes; a failed write must not make later ones fail.
      queue = next.catch(() => undefined);
      return next;
    },
    all: () => Object.fromEntries(secrets),
    adopt(others) {
      const next = queue.then(async () => {
        await write([...secrets, ...Object.entries(others)]);
        for (const [name, value] of Object.entries(others)) secrets.set(name, value);
      });
      queue = next.catch(() => undefined);
      return next;
    },
    values: () => [...secrets.values()],
  };
}
