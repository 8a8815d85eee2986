/** Describes the lines that an answer omits, the reason, and how to get them. */
import type { LogPage } from "./types.js";

type Omitted = LogPage["omitted"];

const GONE = "They are deleted: the log reached its bound on disk, or the disk could not keep up.";

export const notShown = {
  /** Omissions of a query for the newest lines. */
  ofTail(state: {
    /** Matching lines that exceed the budget. */
    cut: number;
    /** Cursor directly before the cut lines. */
    beforeCut: string;
    /** Lines in the store that are older than the requested ones. */
    older: number;
    /** True when not all older lines match the query. */
    narrow: boolean;
    /** Time of the first line shown. */
    firstTime: string | undefined;
    /** Cursor before the very first line. */
    beginning: string;
    lost: number;
  }): Omitted {
    const { cut, beforeCut, older, narrow, firstTime, beginning, lost } = state;
    if (cut > 0) {
      const how = `Raise max_bytes, narrow with service, grep or since, or continue from the oldest with cursor "${beforeCut}".`;
      return { lines: cut, reason: "budget", how_to_get: how };
    }
    if (older > 0) {
      const how = `Raise tail (at most 10,000), give until "${firstTime}" for what came before, or continue from the oldest with cursor "${beginning}".`;
      const howToGet = narrow ? `The number counts all older lines, matching or not. ${how}` : how;
      return { lines: older, reason: "tail", how_to_get: howToGet };
    }
    return lost > 0 ? { lines: lost, reason: "rotated", how_to_get: GONE } : null;
  },

  /** Omissions of a query for the lines after a cursor. */
  ofPage(state: { next: string; full: boolean; later: number; lost: number }): Omitted {
    const { next, full, later, lost } = state;
    const goOn = `Call again with cursor "${next}".`;
    if (lost > 0) {
      return { lines: lost, reason: "rotated", how_to_get: later > 0 ? `${GONE} For later lines: ${goOn}` : GONE };
    }
    return later > 0 ? { lines: later, reason: full ? "budget" : "tail", how_to_get: goOn } : null;
  },

  /** Omissions of a wait for a line: lines between the caller's position and the first line of the answer. */
  ofWait(state: { lines: number; full: boolean; position: string; firstTime: string | undefined }): Omitted {
    const { lines, full, position, firstTime } = state;
    if (lines <= 0) return null;
    const until = firstTime === undefined ? "" : ` and until "${firstTime}"`;
    const how = `They precede the lines shown: call without wait_for, with cursor "${position}"${until}.`;
    return { lines, reason: full ? "budget" : "tail", how_to_get: how };
  },
};
