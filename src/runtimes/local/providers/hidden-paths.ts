/** Files that a definition names and that its service does not see, because its namespaces hide them. */
import type { SandboxView } from "../process/sandbox.js";
import type { ProcessHost, ServiceUser } from "../types.js";

/** An absolute path at the beginning of a value, after `=`, or in a `unix:` or `file:` address. */
const PATH = /(?:^|[=:,\s])(?:(?:unix|file):(?:\/\/)?)?(\/[^\s:,;"']+)/g;
const MOST = 3;

export interface Definition {
  words: readonly string[];
  env: Readonly<Record<string, string>>;
  user: ServiceUser;
  view: SandboxView;
}

/** @returns a note for the service, or none */
export async function hiddenPathNotes(
  host: Pick<ProcessHost, "accessible" | "hides">,
  { words, env, user, view }: Definition,
): Promise<string[]> {
  const texts = [
    ...words.slice(1),
    ...Object.entries(env).flatMap(([name, value]) => (name === "PATH" ? [] : [value])),
  ];
  const paths = new Set(texts.flatMap((text) => [...text.matchAll(PATH)].map(([, path = ""]) => path)));
  const hidden: string[] = [];
  // The note must not disclose a file that only the server's user can read.
  for (const path of paths)
    if (host.hides(path, view) && (await host.accessible(path, user, "read"))) hidden.push(path);
  if (hidden.length === 0) return [];
  const named = hidden.slice(0, MOST).join(", ");
  const others = hidden.length > MOST ? " and others" : "";
  const folders = hidden.length === 1 ? "that folder" : "those folders";
  return [
    `The service does not see ${named}${others}: its namespaces hide ${folders}. To open a folder, the operator names it in allow_binds and the compose file binds it.`,
  ];
}
