/** Streams of JSON objects, one per line: progress of pulls and builds, and events. */

import type { Readable } from "node:stream";
import { LineSplitter } from "../../../system/line-splitter.js";

/** Maximum bytes of a line; a longer one is an error of the engine. */
const LONGEST = 16 * 1024 * 1024;

/** @throws the stream's error, or SyntaxError */
export async function* jsonLines<T>(stream: Readable): AsyncGenerator<T> {
  const values: T[] = [];
  const lines = new LineSplitter((line) => values.push(JSON.parse(line) as T), LONGEST);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const fits = lines.push(chunk);
    yield* values.splice(0);
    if (!fits) throw new Error("The engine sent a line of more than 16 MiB.");
  }
  lines.end();
  yield* values;
}
