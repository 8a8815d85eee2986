/** The engine's format for output without a terminal: each frame has a header with its stream and its size. */
import type { Readable } from "node:stream";
import type { LogStream } from "../../../stack/logs/types.js";

const HEADER = 8;

/** The complete frames of each chunk. A frame that the stream's end cuts off is dropped. */
export async function* framesOf(stream: Readable): AsyncGenerator<[stream: LogStream, bytes: Buffer][]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: [LogStream, Buffer][] = [];
    let at = 0;
    while (rest.length - at >= HEADER) {
      const size = rest.readUInt32BE(at + 4);
      if (rest.length - at - HEADER < size) break;
      frames.push([rest[at] === 2 ? "stderr" : "stdout", rest.subarray(at + HEADER, at + HEADER + size)]);
      at += HEADER + size;
    }
    rest = rest.subarray(at);
    yield frames;
  }
}
