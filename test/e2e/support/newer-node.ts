/** A Node.js of the version that a test requires: the current one, or one that is installed for tests. */
import { installed } from "./package.js";

/** Newest long-term support version when this was written. */
export const NEWEST_LTS = "26.10.0";

/** @returns path of the program */
export const newestNode = async (): Promise<string> =>
  (await installed(`node-${process.platform}-${process.arch}`, NEWEST_LTS))("bin", "node");

/** @returns path of a program of at least this major version */
export const nodeFrom = async (major: number): Promise<string> =>
  Number(process.versions.node.split(".")[0]) >= major ? process.execPath : newestNode();
