/**
 * Words of a command that hold a secret. An engine tells everybody what it runs (telemetry, process list, history), so such
 * a word travels as a secret variable, with a placeholder in its place, and is put back inside the container.
 */
import { secretEncodings } from "../../../stack/text/secret-encodings.js";

const VARIABLE = "STACKWARDEN_WORD_";

/**
 * POSIX sh: puts words back. `$_sw_token` begins each placeholder; only digits follow it, so nothing of a word is ever read as
 * shell text.
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
    /** Random, of letters and digits, new for every start. */
    private readonly token: string,
    secretValues: readonly string[],
  ) {
    // What the redaction takes for an ordinary word is one here too.
    this.#values = secretValues.filter((value) => secretEncodings(value).length > 0);
  }

  /** The words as the engine may see them. */
  hide(words: readonly string[]): string[] {
    return words.map((word) => {
      if (!this.holdsSecret(word)) return word;
      const known = this.#hidden.indexOf(word);
      if (known < 0) this.#hidden.push(word);
      return `${this.token}.${known < 0 ? this.#hidden.length : known + 1}`;
    });
  }

  holdsSecret(word: string): boolean {
    return this.#values.some((value) => word.includes(value));
  }

  /** A command for a container that is there already, from outside; its own words again where none is secret. */
  command(words: readonly string[]): string[] {
    const hidden = this.hide(words);
    return hidden.every((word, at) => word === words[at])
      ? hidden
      : ["/bin/sh", "-c", EXEC, "sh", this.token, ...hidden];
  }

  /** For a person: no secret, not even a part of one. */
  shown(text: string): string {
    return this.#values.reduce((one, value) => one.replaceAll(value, "***"), text);
  }

  /** Secret variables that the container needs; of all words that were hidden so far. */
  environment(): Record<string, string> {
    return Object.fromEntries(this.#hidden.map((word, at) => [`${VARIABLE}${at + 1}`, word]));
  }
}
