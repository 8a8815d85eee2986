/** Reads requirements files, and determines whether the result depends on the project's own sources. */
import { dirname, relative, resolve } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { manifestError, requireManifestText } from "./read-manifest.js";

const INCLUDE = /^\s*(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)/;
const URL = /^[a-z]+:\/\//;
const BLANK = /^\s*(#.*|-[rc]\s.*)?$/;
/** Lines with packages that pip builds from files of the project. */
const LOCAL = /^\s*(?:-e\b|--editable\b|\.{0,2}\/|\.{1,2}\s*(?:\[|#|$)|file:)|@\s*file:/;
const MAX_FILES = 200;

export interface RequirementsFile {
  path: string;
  text: string;
}

export interface Requirements {
  /** The manifest and every file that it includes, in order of inclusion. */
  files: RequirementsFile[];
  /** True when there is nothing to install. */
  empty: boolean;
  /** True when a package is built from files of the project. */
  usesSources: boolean;
}

const linesOf = (text: string): string[] => text.split(/\r?\n/);

/**
 * @param root folder that contains all included files
 * @throws DEPENDENCY_INSTALL_FAILED when a file is missing, is not a regular file, or lies outside `root`
 */
export function readRequirements(manifest: string, root: string): Requirements {
  const files = new Map<string, string>();
  const read = (path: string): void => {
    if (files.has(path)) return;
    if (!isBeneath(root, path))
      throw manifestError(`The requirements file ${relative(root, path)} is outside the project's folder.`);
    if (files.size >= MAX_FILES)
      throw manifestError(`${relative(root, manifest)} includes more than ${MAX_FILES} files.`);
    const text = requireManifestText(path, root);
    files.set(path, text);
    for (const line of linesOf(text)) {
      const included = INCLUDE.exec(line)?.[1];
      if (included !== undefined && !URL.test(included)) read(resolve(dirname(path), included));
    }
  };
  read(manifest);
  const lines = [...files.values()].flatMap(linesOf);
  return {
    files: [...files].map(([path, text]) => ({ path, text })),
    empty: lines.every((line) => BLANK.test(line)),
    usesSources: lines.some((line) => LOCAL.test(line)),
  };
}
