/** Bearer tokens: made at the first start, kept as hashes, compared in constant time. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { StackwardenError } from "../stack/errors.js";
import { writeWhole } from "../stack/write-whole.js";

/** `read`: operations that change nothing. `operate`: all. */
export type Scope = "read" | "operate";

export interface Token {
  name: string;
  scope: Scope;
  /** ISO 8601. */
  created: string;
}

interface StoredToken extends Token {
  /** SHA-256 of the token, hexadecimal. */
  hash: string;
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const DEFAULT = "default";

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

export class TokenStore {
  readonly #file: string;
  /** The default token in plain text, for the owner's own clients. */
  readonly tokenFile: string;
  #tokens: StoredToken[] = [];

  private constructor(stateDir: string) {
    this.#file = join(stateDir, "tokens.json");
    this.tokenFile = join(stateDir, "token");
  }

  /** @throws STORAGE_FAILED when the file is damaged or cannot be written */
  static async open(stateDir: string): Promise<TokenStore> {
    const made = await mkdir(stateDir, { recursive: true, mode: 0o711 });
    if (made !== undefined) await chmod(stateDir, 0o711);
    const store = new TokenStore(stateDir);
    await store.#load();
    if (!store.#tokens.some(({ name }) => name === DEFAULT)) await store.add(DEFAULT, "operate");
    return store;
  }

  list(): Token[] {
    return this.#tokens.map(({ name, scope, created }) => ({ name, scope, created }));
  }

  /**
   * Makes a token of 256 random bits; one of the same name is replaced.
   * @returns the token, which is not kept in plain text unless it is the default one
   */
  async add(name: string, scope: Scope): Promise<string> {
    if (!NAME.test(name))
      throw new StackwardenError("INVALID_INPUT", "name is not a token's name.", {
        hint: "Use 1 to 32 lower-case letters, digits, - and _, beginning with a letter or digit.",
      });
    const token = randomBytes(32).toString("base64url");
    const stored: StoredToken = { name, scope, created: new Date().toISOString(), hash: hashOf(token).toString("hex") };
    await this.#save([...this.#tokens.filter((one) => one.name !== name), stored]);
    if (name === DEFAULT) await writeWhole(this.tokenFile, `${token}\n`);
    return token;
  }

  /** @throws INVALID_INPUT that lists the names */
  async remove(name: string): Promise<void> {
    if (!this.#tokens.some((one) => one.name === name))
      throw new StackwardenError("INVALID_INPUT", "There is no token of this name.", {
        hint: `Names: ${this.#tokens.map((one) => one.name).join(", ")}.`,
      });
    await this.#save(this.#tokens.filter((one) => one.name !== name));
  }

  /** The token that a presented text is, or null. Takes the same time whatever it is. */
  verify(presented: string): Token | null {
    const hash = hashOf(presented);
    let found: StoredToken | null = null;
    for (const token of this.#tokens) if (timingSafeEqual(hash, Buffer.from(token.hash, "hex"))) found = token;
    return found;
  }

  async #load(): Promise<void> {
    const text = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "[]";
      throw damaged(this.#file, error);
    });
    try {
      const tokens = JSON.parse(text) as StoredToken[];
      if (!Array.isArray(tokens) || !tokens.every(valid)) throw new Error("not a list of tokens");
      this.#tokens = tokens;
    } catch (error) {
      throw damaged(this.#file, error);
    }
  }

  async #save(tokens: StoredToken[]): Promise<void> {
    await writeWhole(this.#file, `${JSON.stringify(tokens, null, 2)}\n`);
    this.#tokens = tokens;
  }
}

const valid = (token: Partial<StoredToken> | null): boolean =>
  typeof token?.name === "string" &&
  (token.scope === "read" || token.scope === "operate") &&
  /^[0-9a-f]{64}$/.test(token.hash ?? "");

const damaged = (file: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${file} is damaged or cannot be read.`, {
    hint: "Correct it, or remove it: a new token is made at the next start.",
    cause,
  });
