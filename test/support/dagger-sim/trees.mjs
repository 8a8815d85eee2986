/** Files and directories as values: each has a separate folder that never changes. */
import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { Names, randomHex } from "./names.mjs";

/** `*`, `**`, `?` and plain names, as upload filters need them; a matching folder includes its content. */
export function matches(path, pattern) {
  const plain = pattern.replace(/^\.?\//, "").replace(/\/$/, "");
  const source = plain
    .split(/(\*\*\/?|\*|\?)/)
    .map((part) =>
      part === "**" || part === "**/"
        ? "(?:.*/)?"
        : part === "*"
          ? "[^/]*"
          : part === "?"
            ? "[^/]"
            : part.replace(/[.+^${}()|[\]\\]/g, "\\$&"),
    )
    .join("");
  return new RegExp(`^${plain.endsWith("**") ? source.replace(/\(\?:\.\*\/\)\?$/, ".*") : source}(?:/.*)?$`).test(path);
}

export class Trees {
  #names = new Names();

  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  fresh() {
    return join(this.folder, randomHex(8));
  }

  file(name, contents, permissions = 0o644) {
    const path = join(this.folder, this.#names.of(`${name}\0${permissions}\0${contents}`));
    if (!existsSync(path)) {
      writeFileSync(path, contents);
      chmodSync(path, permissions);
    }
    return { type: "File", path, name };
  }

  empty() {
    const path = this.fresh();
    mkdirSync(path, { mode: 0o755 });
    return { type: "Directory", path };
  }

  /** A copy of the directory, changed by `change`. */
  changed(directory, change) {
    const path = this.fresh();
    this.copy(directory.path, path);
    change(path);
    return { type: "Directory", path };
  }

  copy(from, to, { include = [], exclude = [], owner } = {}) {
    cpSync(from, to, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => {
        const path = relative(from, source);
        if (path === "") return true;
        if (
          exclude.reduce(
            (out, rule) => (rule.startsWith("!") ? out && !matches(path, rule.slice(1)) : out || matches(path, rule)),
            false,
          )
        )
          return false;
        return include.length === 0 || lstatSync(source).isDirectory() || include.some((rule) => matches(path, rule));
      },
    });
    if (owner !== undefined) own(to, owner);
  }

  write(root, path, contents, { permissions = 0o644, owner } = {}) {
    const at = join(root, path);
    mkdirSync(dirname(at), { recursive: true, mode: 0o755 });
    rmSync(at, { force: true });
    writeFileSync(at, contents);
    chmodSync(at, permissions);
    if (owner !== undefined) own(at, owner);
  }
}

export function own(path, { uid, gid }) {
  lchownSync(path, uid, gid);
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) own(join(path, name), { uid, gid });
}

/** `.dockerignore` of an uploaded context. */
export const ignored = (path) =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .map((one) => one.trim())
        .filter((one) => one !== "" && !one.startsWith("#"))
    : [];
