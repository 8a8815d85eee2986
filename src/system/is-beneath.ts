/** Whether a path is a folder or is below it, by their names alone: links are not resolved. */
import { isAbsolute, relative, sep } from "node:path";

export const isBeneath = (folder: string, path: string): boolean => {
  const inner = relative(folder, path);
  return inner === "" || (inner !== ".." && !inner.startsWith(`..${sep}`) && !isAbsolute(inner));
};
