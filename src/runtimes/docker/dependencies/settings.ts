/** The operator's mirrors and certificates, in a form that an installer inside a container can use. */
import { lstat, readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { isLoopbackMirror, mirrorSettings } from "../../shared/mirror-settings.js";

/** Folder of the copied files inside the container. */
const FOLDER = "/.stackwarden/settings";
/** A bundle of all usual certificate authorities has half a MiB. */
const LARGEST = 4 * 1_048_576;

export interface InstallerSettings {
  environment: Record<string, string>;
  /** Files that the environment names, by their path inside the container. */
  files: [path: string, content: Buffer][];
}

async function contentOf(path: string): Promise<Buffer | null> {
  const stats = await lstat(path).catch(() => null);
  if (stats === null || stats.size > LARGEST) return null;
  return readFile(path).catch(() => null);
}

/**
 * Files that a variable names are copied into the container. Addresses on this machine's loopback interface and folders
 * are left out.
 */
export async function installerSettings(env: NodeJS.ProcessEnv): Promise<InstallerSettings> {
  const environment: Record<string, string> = {};
  const files: InstallerSettings["files"] = [];
  const copied = new Map<string, string>();
  for (const [name, value] of Object.entries(mirrorSettings(env))) {
    if (isLoopbackMirror(value)) continue;
    if (!isAbsolute(value)) {
      environment[name] = value;
      continue;
    }
    let inside = copied.get(value);
    if (inside === undefined) {
      const content = await contentOf(value);
      if (content === null) continue;
      inside = `${FOLDER}/${files.length}`;
      copied.set(value, inside);
      files.push([inside, content]);
    }
    environment[name] = inside;
  }
  return { environment, files };
}
