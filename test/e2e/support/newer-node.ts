/** A Node.js that is new enough for what a test runs: this one, or one that is installed for the tests. */
import { installed } from "./package.js";

/** Newest version in long-term support when this was written. */
export const NEWEST_LTS = "26.10.0";

/** @returns path of the program */
export const newestNode = async (): Promise<string> =>
  (await installed(`node-${process.platform}-${process.arch}`, NEWEST_LTS))("bin", "node");

/** @returns path of a program of at least this major version */
export const nodeFrom = async (major: number): Promise<string> =>
  Number(process.versions.node.split(".")[0]) >= major ? process.execPath : newestNode();
