/** A Node.js that is new enough for what a test runs: this one, or one that is brought. */
import { bring } from "./package.js";

/** Newest version in long-term support when this was written. */
export const NEWEST_LTS = "26.10.0";

export async function nodeFrom(major: number): Promise<{ binary: string; remove(): void }> {
  if (Number(process.versions.node.split(".")[0]) >= major)
    return { binary: process.execPath, remove: () => undefined };
  const node = await bring(`node-${process.platform}-${process.arch}`, NEWEST_LTS);
  return { binary: node.path("bin", "node"), remove: node.remove };
}
