/**
 * Arguments of a command that contain a secret. Every user of a machine can read the arguments of all visible
 * processes, so a shell script with a secret is passed in an environment variable, which only its user can read.
 */
import { basename } from "node:path";
import { secretEncodings } from "../../stack/text/secret-encodings.js";

const VARIABLE = "STACKWARDEN_SCRIPT";
/** The variable is unset before the script begins, so that its child processes do not inherit it. */
const SCRIPT = `__stackwarden_script=$${VARIABLE}; unset ${VARIABLE}; eval "unset __stackwarden_script; $__stackwarden_script"`;
const SHELLS = new Set(["sh", "bash", "dash", "ash"]);

export interface HiddenWords {
  argv: string[];
  env: Record<string, string>;
  /** True when a secret remains in the arguments because the command does not run a shell. */
  exposed: boolean;
}

/** @param secrets known secret values; values that are too common to be redacted do not count as secrets here either */
export function hideSecretWords(
  command: { argv: string[]; env: Record<string, string> },
  secrets: readonly string[],
): HiddenWords {
  const values = secrets.filter((value) => secretEncodings(value).length > 0);
  const holdsSecret = (word: string): boolean => values.some((value) => word.includes(value));
  const { argv, env } = command;
  const [shell = "", option, script] = argv;
  const isScript = SHELLS.has(basename(shell)) && option === "-c" && script !== undefined && holdsSecret(script);
  if (!isScript) return { argv, env, exposed: argv.some(holdsSecret) };
  const rest = argv.slice(3);
  return { argv: [shell, "-c", SCRIPT, ...rest], env: { ...env, [VARIABLE]: script }, exposed: rest.some(holdsSecret) };
}
