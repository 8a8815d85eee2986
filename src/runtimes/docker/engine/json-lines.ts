/** Streams of JSON objects, one per line: progress of pulls and builds, and events. */
import type { Readable } from "node:stream";

/** Maximum characters of a line; a longer one is an error of the engine. */
const LONGEST = 16 * 1024 * 1024;

/** @throws the stream's error, or SyntaxError */
export async function* jsonLines<T>(stream: Readable): AsyncGenerator<T> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream as AsyncIterable<string>) {
    rest += chunk;
    let from = 0;
    for (let at = rest.indexOf("\n", from); at >= 0; at = rest.indexOf("\n", from)) {
      const line = rest.slice(from, at).trim();
      from = at + 1;
      if (line !== "") yield JSON.parse(line) as T;
    }
    rest = rest.slice(from);
    if (rest.length > LONGEST) throw new Error("The engine sent a line of more than 16 MiB.");
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as T;
}
