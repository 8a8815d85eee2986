/** Splits a simple shell command, as in `sh -c` of a container, into words without running a shell. */

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** Other characters with a meaning in a shell: a text that contains one is not simple. */
const SPECIAL = /[|&;<>()`\n*?[\]~!#]/;

interface Expansion {
  value: string;
  length: number;
}

/** Expands `$NAME`, `${NAME}`, `${NAME:-default}` or `$(cat FILE)` at the start of a text; null for everything else. */
function expansion(text: string, variables: Variables): Expansion | null {
  const file = /^\$\(\s*cat\s+([\w./-]+)\s*\)/.exec(text);
  if (file !== null) {
    const value = variables.file?.(file[1] as string);
    return value === undefined ? null : { value, length: file[0].length };
  }
  const braced = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}$`\\"']*))?\}/.exec(text);
  if (braced !== null) {
    const value = variables.environment?.[braced[1] as string];
    return { value: value === undefined || value === "" ? (braced[2] ?? "") : value, length: braced[0].length };
  }
  const name = NAME.exec(text.slice(1))?.[0];
  return name === undefined ? null : { value: variables.environment?.[name] ?? "", length: name.length + 1 };
}

export interface Variables {
  environment?: Record<string, string>;
  /** Content of a file in `$(cat FILE)`. */
  file?(path: string): string | undefined;
}

/**
 * Unlike in a shell, the value of an unquoted variable stays one word even when it contains spaces.
 * @returns null when the text is more than one simple command
 */
export function shellWords(text: string, variables: Variables): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (quote === "'") {
      if (char === "'") quote = "";
      else word += char;
    } else if (char === "$") {
      const found = expansion(text.slice(at), variables);
      if (found === null) return null;
      word = (word ?? "") + found.value;
      at += found.length - 1;
    } else if (char === "\\") {
      at += 1;
      if (at >= text.length) return null;
      if (quote === '"' && !/["\\$`]/.test(text[at] as string)) word += "\\";
      if (text[at] !== "\n") word = (word ?? "") + text[at];
    } else if (quote === '"') {
      if (char === '"') quote = "";
      else if (char === "`") return null;
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/[ \t]/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (SPECIAL.test(char)) return null;
    else word = (word ?? "") + char;
  }
  if (quote !== "") return null;
  if (word !== null) words.push(word);
  return words;
}
