/** Bearer tokens that end with the process. */
import { createHash, randomBytes } from "node:crypto";
import type { Principal, Scope } from "./principal.js";
import type { TokenVerifier } from "./tokens.js";

/** Tokens at the same time; the oldest one is removed for a new one. */
const MAX_TOKENS = 100;

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

export class MemoryTokens implements TokenVerifier {
  readonly #principals = new Map<string, Principal>();
  #issued = 0;

  /** @returns a token of 256 random bits, of which only the hash is kept */
  issue(name: string, scope: Scope): string {
    const token = randomBytes(32).toString("base64url");
    const hash = hashOf(token);
    const id = `${name}:${scope}:${hash.slice(0, 16)}`;
    this.#principals.set(hash, { name, scope, id, valid: () => this.has(id) });
    this.#issued += 1;
    const [oldest] = this.#principals.keys();
    if (this.#principals.size > MAX_TOKENS && oldest !== undefined) this.#principals.delete(oldest);
    return token;
  }

  get revision(): string {
    return String(this.#issued);
  }

  async refresh(): Promise<void> {}

  verify(presented: string): Principal | null {
    return this.#principals.get(hashOf(presented)) ?? null;
  }

  has(id: string): boolean {
    return [...this.#principals.values()].some((principal) => principal.id === id);
  }
}
