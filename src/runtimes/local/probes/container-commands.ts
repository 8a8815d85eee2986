/**
 * Recognises health check commands of common container images (`pg_isready`, `redis-cli ping`, `curl`, `wget`), so that
 * a native check can replace them.
 */

import type { ProviderName } from "../../../stack/definition/image-name.js";
import type { HealthTest } from "../../../stack/definition/types.js";

export type NativeTest =
  | { kind: "postgres" }
  | { kind: "redis" }
  /** `port` is the container port. */
  | { kind: "http"; port: number; path: string; status: number | null };

const LOCAL = new Set(["localhost", "127.0.0.1", "0.0.0.0", "[::1]"]);

function httpOf(words: string[], service: string): NativeTest | null {
  const address = words.find((word) => /^(https?:\/\/|localhost[:/])/.test(word));
  if (address === undefined) return null;
  // A request that is more than a plain GET is run as a command.
  if (words.some((word) => /^(-X|--request|-d|--data.*|--post.*|-H|--header.*|-u|--user)$/.test(word))) return null;
  try {
    const url = new URL(address.includes("://") ? address : `http://${address}`);
    if (url.protocol !== "http:" || !(LOCAL.has(url.hostname) || url.hostname === service)) return null;
    return { kind: "http", port: Number(url.port || 80), path: `${url.pathname}${url.search}`, status: null };
  } catch {
    return null;
  }
}

/**
 * Words of a shell command that runs exactly one program. Null for a pipe or a list of commands, whose other parts
 * affect the result too.
 */
function simpleWords(command: string): string[] {
  const bare = command
    .replace(/\s*\|\|\s*(exit\s+\d+|false)\s*;?\s*$/, "")
    .replace(/\s*([12&]?>\s*\/dev\/null|2>&1)(?=\s|$)/g, "");
  if (/[|&;<>()`$\\\n]/.test(bare.replace(/'[^']*'|"[^"$`\\]*"/g, ""))) return [];
  return bare.split(/\s+/).map((word) => word.replace(/^["']|["']$/g, ""));
}

/** @returns the equivalent native check, or null when the command must be run */
export function nativeTest(test: HealthTest, provider: ProviderName | null, service: string): NativeTest | null {
  let words: string[];
  if (test.kind === "cmd") words = test.argv;
  else if (test.kind === "cmd-shell") words = simpleWords(test.command);
  else return null;
  const program = words
    .find((word) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word))
    ?.split("/")
    .at(-1);
  // The tools of the image are not available here. Whatever the check of a provider's service was, a native check of
  // its server replaces it.
  if (provider !== null) return { kind: provider };
  return program === "curl" || program === "wget" ? httpOf(words, service) : null;
}
