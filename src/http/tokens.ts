/** Bearer tokens: created at the first start, stored as hashes, compared in constant time, read again when they change. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../errors.js";
import { atomicWrite, ensureTraversableDir } from "../system/atomic-write.js";
import { takeLock } from "../system/lock-file.js";
import type { Principal, Scope } from "./principal.js";

export interface Token {
  name: string;
  scope: Scope;
  /** ISO 8601. */
  created: string;
}

/** Verifies the tokens of requests. */
export interface TokenVerifier {
  /** Differs after every change of the tokens. */
  readonly revision: string;
  /** Reads changes by other processes. Throws STORAGE_FAILED when the store is damaged. */
  refresh(): Promise<void>;
  /** @returns null for an unknown token */
  verify(presented: string): Principal | null;
  /** Whether the token of the principal with this id is still valid. */
  has(id: string): boolean;
}

interface StoredToken extends Token {
  /** SHA-256 of the token, hexadecimal. */
  hash: string;
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const DEFAULT = "default";
/** Another process changes tokens for milliseconds only. */
const LOCK_TRIES = 100;
const LOCK_WAIT_MS = 50;

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

const idOf = ({ name, scope, hash }: StoredToken): string => `token:${name}:${scope}:${hash.slice(0, 16)}`;

export class TokenStore implements TokenVerifier {
  readonly #file: string;
  /** The default token in plain text, for the owner's own clients. */
  readonly tokenFile: string;
  #tokens: StoredToken[] = [];
  /** Identity of the file at the last read, because another process can replace it. */
  #stamp = "";
  #reading: Promise<void> | undefined;

  private constructor(stateDir: string) {
    this.#file = join(stateDir, "tokens.json");
    this.tokenFile = join(stateDir, "token");
  }

  /** @throws STORAGE_FAILED when the file is damaged or cannot be written */
  static async open(stateDir: string): Promise<TokenStore> {
    await ensureTraversableDir(stateDir);
    const store = new TokenStore(stateDir);
    await store.#load();
    if (!store.#tokens.some(({ name }) => name === DEFAULT)) await store.#makeDefault();
    return store;
  }

  list(): Token[] {
    return this.#tokens.map(({ name, scope, created }) => ({ name, scope, created }));
  }

  /**
   * Creates a token of 256 random bits, which replaces one of the same name.
   * @returns the token; only the default token is also stored in plain text
   */
  async add(name: string, scope: Scope): Promise<string> {
    if (!NAME.test(name))
      throw new StackwardenError("INVALID_INPUT", `Invalid token name ${JSON.stringify(name.slice(0, 64))}.`, {
        hint: "Use 1 to 32 lower-case letters, digits, - and _, beginning with a letter or digit.",
      });
    return this.#change(() => this.#put(name, scope));
  }

  /**
   * Replaces a token with a new one of the same scope. The old one is invalid from then on.
   * @throws INVALID_INPUT that lists the names
   */
  async rotate(name: string): Promise<{ token: string; scope: Scope }> {
    return this.#change(async () => {
      const { scope } = this.#named(name);
      return { token: await this.#put(name, scope), scope };
    });
  }

  /** @throws INVALID_INPUT that lists the names */
  async remove(name: string): Promise<void> {
    await this.#change(() => {
      this.#named(name);
      return this.#save(this.#tokens.filter((one) => one.name !== name));
    });
  }

  /** @returns the principal of a token, or null; in constant time */
  verify(presented: string): Principal | null {
    const hash = hashOf(presented);
    let match: StoredToken | null = null;
    for (const token of this.#tokens) if (timingSafeEqual(hash, Buffer.from(token.hash, "hex"))) match = token;
    if (match === null) return null;
    const { name, scope } = match;
    const id = idOf(match);
    return { name, scope, id, valid: () => this.has(id) };
  }

  /** Whether the principal of this id still has its token. */
  has(id: string): boolean {
    return this.#tokens.some((token) => idOf(token) === id);
  }

  /**
   * Reads the file again when it was replaced. A missing file invalidates every token; a damaged one changes nothing.
   * @throws STORAGE_FAILED when it is damaged
   */
  async refresh(): Promise<void> {
    if ((await this.#stampNow()) === this.#stamp) return;
    this.#reading ??= this.#load().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** Differs after every change by any process. */
  get revision(): string {
    return this.#tokens.map(idOf).join();
  }

  #named(name: string): StoredToken {
    const token = this.#tokens.find((one) => one.name === name);
    if (token !== undefined) return token;
    throw new StackwardenError("INVALID_INPUT", "Unknown token.", {
      hint: `Names: ${this.#tokens.map((one) => one.name).join(", ")}.`,
    });
  }

  async #put(name: string, scope: Scope): Promise<string> {
    const token = randomBytes(32).toString("base64url");
    const stored: StoredToken = { name, scope, created: new Date().toISOString(), hash: hashOf(token).toString("hex") };
    await this.#save([...this.#tokens.filter((one) => one.name !== name), stored]);
    if (name === DEFAULT) await atomicWrite(this.tokenFile, `${token}\n`);
    return token;
  }

  async #makeDefault(): Promise<void> {
    await this.#change(async () => {
      if (!this.#tokens.some(({ name }) => name === DEFAULT)) await this.#put(DEFAULT, "operate");
    });
  }

  /** Reads and changes the file under a lock, so that one process at a time changes it. */
  async #change<T>(change: () => Promise<T>): Promise<T> {
    const file = `${this.#file}.lock`;
    for (let tries = 0; ; tries += 1) {
      const { lock } = await takeLock(file).catch((error: unknown) => {
        throw damaged(this.#file, error);
      });
      if (lock !== null)
        try {
          await this.#load();
          return await change();
        } finally {
          await lock.release();
        }
      if (tries >= LOCK_TRIES)
        throw new StackwardenError("STORAGE_FAILED", "Another process is changing the tokens.", {
          hint: "Try again.",
        });
      await sleep(LOCK_WAIT_MS);
    }
  }

  async #stampNow(): Promise<string> {
    const stats = await stat(this.#file, { bigint: true }).catch(() => null);
    return stats === null ? "none" : `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
  }

  async #load(): Promise<void> {
    // Taken before the read, so that a concurrent write is detected and read again. It is set together with the tokens:
    // a request that sees it uses them.
    const stamp = await this.#stampNow();
    try {
      const text = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return "[]";
        throw error;
      });
      const tokens = JSON.parse(text) as StoredToken[];
      if (!Array.isArray(tokens) || !tokens.every(valid)) throw new Error("not a list of tokens");
      this.#tokens = tokens;
    } catch (error) {
      throw damaged(this.#file, error);
    } finally {
      this.#stamp = stamp;
    }
  }

  async #save(tokens: StoredToken[]): Promise<void> {
    await atomicWrite(this.#file, `${JSON.stringify(tokens, null, 2)}\n`);
    this.#tokens = tokens;
    this.#stamp = await this.#stampNow();
  }
}

const valid = (token: Partial<StoredToken> | null): boolean =>
  typeof token?.name === "string" &&
  (token.scope === "read" || token.scope === "operate") &&
  /^[0-9a-f]{64}$/.test(token.hash ?? "");

const damaged = (file: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${file} is damaged or cannot be read.`, {
    hint: "Correct the file, or remove it: the next start creates a new token.",
    cause,
  });
