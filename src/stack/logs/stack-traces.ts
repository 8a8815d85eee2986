/**
 * Detects errors by their stack trace, where the name of the exception does not say that it is one: Python prints it after
 * the frames (`psycopg2.errors.UndefinedColumn: …`), Java, Node.js and Go before them.
 */
import { continues, levelOf } from "./levels.js";

/** Maximum characters of a line that are examined. */
const READ = 500;

const PYTHON_FRAME = /^[\s|+]*File "[^"\n]+", line \d+/;
const PYTHON_EXCEPTION = /^[A-Za-z_][\w.]*(?:: |:?$)/;
const FRAME = /^\s+at \S.*[:(][^\s()]+(?::\d+)*\)$|^\s+at \S+:\d+:\d+$|^\s+\/\S+\.go:\d+/;

/** True for a line that prints an exception if it follows the frames of a traceback. No other rule recognises it. */
export const mayEndTraceback = (text: string): boolean =>
  PYTHON_EXCEPTION.test(text.slice(0, READ)) && !continues(text) && levelOf(text) === null;

/** True when the line is a frame of a traceback, or belongs to one. `within` says this of the line before. */
export const inTraceback = (text: string, within: boolean): boolean =>
  PYTHON_FRAME.test(text.slice(0, READ)) || (within && /^\s+\S/.test(text));

/** True for a frame that is printed after the exception. */
export const isFrame = (text: string): boolean => FRAME.test(text.slice(0, READ));

/** True when the line before, and its frames after it, make the line an error. Lines that state a level are no such. */
export const isException = (
  text: string,
  { afterFrames, frames }: { afterFrames: boolean; frames: boolean },
): boolean => levelOf(text) === null && !continues(text) && (frames || (afterFrames && mayEndTraceback(text)));
