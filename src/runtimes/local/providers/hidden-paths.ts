/** Files that a definition names and that its service does not see, because its namespaces hide them. */
import { isBeneath } from "../../../system/is-beneath.js";
import { ownerOf } from "../files/create.js";
import type { SandboxMount } from "../process/sandbox.js";
import type { ProcessHost } from "../types.js";

/** An absolute path at the beginning of a value, after `=`, or in a `unix:` or `file:` address. */
const PATH = /(?:^|[=:,\s])(?:(?:unix|file):(?:\/\/)?)?(\/[^\s:,;"']+)/g;
const MOST = 3;

export interface Definition {
  words: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Folders that the service sees. */
  visible: readonly string[];
  mounts: readonly SandboxMount[];
}

const exists = (path: string): Promise<boolean> =>
  ownerOf(path).then(
    (entry) => entry !== null,
    () => false,
  );

/** @returns a note for the service, or none */
export async function hiddenPathNotes(
  host: Pick<ProcessHost, "hides">,
  { words, env, visible, mounts }: Definition,
): Promise<string[]> {
  const shown = [...visible, ...mounts.map(({ target }) => target)];
  const texts = [
    ...words.slice(1),
    ...Object.entries(env).flatMap(([name, value]) => (name === "PATH" ? [] : [value])),
  ];
  const paths = new Set(texts.flatMap((text) => [...text.matchAll(PATH)].map(([, path = ""]) => path)));
  const hidden: string[] = [];
  for (const path of paths)
    if (host.hides(path) && !shown.some((folder) => isBeneath(folder, path)) && (await exists(path))) hidden.push(path);
  if (hidden.length === 0) return [];
  const named = hidden.slice(0, MOST).join(", ");
  return [
    `It does not see ${named}${hidden.length > MOST ? " and others" : ""}: home folders and /run are hidden from services. The operator's allow_binds opens a folder for a bind.`,
  ];
}
