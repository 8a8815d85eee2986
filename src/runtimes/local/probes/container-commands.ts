/**
 * Health check commands that a container image would have brought (`pg_isready`, `redis-cli ping`, `curl`, `wget`),
 * recognised so that stackwarden's own check takes their place.
 */

import type { ProviderName } from "../../../stack/definition/image-name.js";
import type { HealthTest } from "../../../stack/definition/types.js";

export type NativeTest =
  | { kind: "postgres" }
  | { kind: "redis" }
  /** `port` is the container's. */
  | { kind: "http"; port: number; path: string; status: number | null };

const LOCAL = new Set(["localhost", "127.0.0.1", "0.0.0.0", "[::1]"]);

function httpOf(words: string[], service: string): NativeTest | null {
  const address = words.find((word) => /^(https?:\/\/|localhost[:/])/.test(word));
  if (address === undefined) return null;
  // A request that is more than a plain GET stays a command.
  if (words.some((word) => /^(-X|--request|-d|--data.*|--post.*|-H|--header.*|-u|--user)$/.test(word))) return null;
  try {
    const url = new URL(address.includes("://") ? address : `http://${address}`);
    if (url.protocol !== "http:" || !(LOCAL.has(url.hostname) || url.hostname === service)) return null;
    return { kind: "http", port: Number(url.port || 80), path: `${url.pathname}${url.search}`, status: null };
  } catch {
    return null;
  }
}

/** Words of a shell command that is one program and no more; a pipe or a second command decides too, so it has none. */
function simpleWords(command: string): string[] {
  const bare = command
    .replace(/\s*\|\|\s*(exit\s+\d+|false)\s*;?\s*$/, "")
    .replace(/\s*([12&]?>\s*\/dev\/null|2>&1)(?=\s|$)/g, "");
  if (/[|&;<>()`$\\\n]/.test(bare.replace(/'[^']*'|"[^"$`\\]*"/g, ""))) return [];
  return bare.split(/\s+/).map((word) => word.replace(/^["']|["']$/g, ""));
}

/** @returns the native check that means the same, or null when the command must really run */
export function nativeTest(test: HealthTest, provider: ProviderName | null, service: string): NativeTest | null {
  let words: string[];
  if (test.kind === "cmd") words = test.argv;
  else if (test.kind === "cmd-shell") words = simpleWords(test.command);
  else return null;
  const program = words
    .find((word) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word))
    ?.split("/")
    .at(-1);
  // A provider's own tools are not there: whatever its check was, the real question is whether it answers.
  if (provider !== null) return { kind: provider };
  return program === "curl" || program === "wget" ? httpOf(words, service) : null;
}
