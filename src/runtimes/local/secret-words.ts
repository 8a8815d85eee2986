/**
 * Words of a command that hold a secret. Every user of a machine can read the arguments of every process that it sees, so a
 * shell's script with a secret travels as a variable of its environment, which only its user can read.
 */
import { basename } from "node:path";
import { secretEncodings } from "../../stack/text/secret-encodings.js";

const VARIABLE = "STACKWARDEN_SCRIPT";
/** The variable is gone before the script begins, so that nothing that it starts has it. */
const SCRIPT = `__stackwarden_script=$${VARIABLE}; unset ${VARIABLE}; eval "unset __stackwarden_script; $__stackwarden_script"`;
const SHELLS = new Set(["sh", "bash", "dash", "ash"]);

export interface HiddenWords {
  argv: string[];
  env: Record<string, string>;
  /** A secret is still in the arguments: the command is not a shell's. */
  exposed: boolean;
}

/** @param secrets known secret values; what is too ordinary to be redacted is no secret here either */
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
