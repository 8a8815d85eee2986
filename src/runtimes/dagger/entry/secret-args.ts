/**
 * Arguments of a command that contain a secret. The engine exposes the commands that it runs (telemetry, process list,
 * history), so such an argument is passed as a secret variable. A placeholder takes its place, and the argument is
 * restored inside the container.
 */
import { secretEncodings } from "../../../stack/text/secret-encodings.js";

const VARIABLE = "STACKWARDEN_WORD_";

/**
 * POSIX sh that restores arguments. Each placeholder begins with `$_sw_token` followed only by digits, so no part of an
 * argument is ever parsed as shell text.
 */
export const RESTORE_WORDS = `_sw_left=$#
while [ "$_sw_left" -gt 0 ]; do
  _sw_word=$1 _sw_number=
  shift
  case $_sw_word in "$_sw_token".*) _sw_number=\${_sw_word#"$_sw_token".} ;; esac
  case $_sw_number in '' | *[!0-9]*) ;; *) eval "_sw_word=\\$${VARIABLE}$_sw_number" ;; esac
  set -- "$@" "$_sw_word"
  _sw_left=$((_sw_left - 1))
done
_sw_number=1
while eval "[ -n \\"\\\${${VARIABLE}$_sw_number+set}\\" ]"; do
  unset "${VARIABLE}$_sw_number"
  _sw_number=$((_sw_number + 1))
done`;

const EXEC = `_sw_token=$1
shift
${RESTORE_WORDS}
exec "$@"`;

export class SecretArgs {
  readonly #values: string[];
  readonly #hidden: string[] = [];

  constructor(
    /** Random letters and digits, different for every start. */
    private readonly token: string,
    secretValues: readonly string[],
  ) {
    // A value that redaction ignores as an ordinary word is not hidden here either.
    this.#values = secretValues.filter((value) => secretEncodings(value).length > 0);
  }

  /** The arguments with placeholders, which the engine may see. */
  hide(words: readonly string[]): string[] {
    return words.map((word) => {
      if (!this.holdsSecret(word)) return word;
      const index = this.#hidden.indexOf(word);
      if (index < 0) this.#hidden.push(word);
      return `${this.token}.${index < 0 ? this.#hidden.length : index + 1}`;
    });
  }

  holdsSecret(word: string): boolean {
    return this.#values.some((value) => word.includes(value));
  }

  /** A command to run in an existing container from outside; the original arguments when none contains a secret. */
  command(words: readonly string[]): string[] {
    const hidden = this.hide(words);
    return hidden.every((word, at) => word === words[at])
      ? hidden
      : ["/bin/sh", "-c", EXEC, "sh", this.token, ...hidden];
  }

  /** For display: contains no secret, not even in part. */
  masked(text: string): string {
    return this.#values.reduce((one, value) => one.replaceAll(value, "***"), text);
  }

  /** Secret variables that the container needs, for all arguments that were hidden so far. */
  environment(): Record<string, string> {
    return Object.fromEntries(this.#hidden.map((word, at) => [`${VARIABLE}${at + 1}`, word]));
  }
}
