/**
 * Assembles chunks of bytes into lines. Only complete lines are decoded, so the same bytes give the same lines however
 * they are divided into chunks, even with invalid bytes.
 */

const LF = 10;
const CR = 13;
/** Maximum bytes of one line that are held until its end. Further bytes are only counted. */
const MAX_HELD_BYTES = 64 * 1024;
/** Maximum characters of a line that cannot exceed the 8 KiB bound, whatever its characters. */
const SURELY_SHORT = 2700;

export interface AssembledLine {
  text: string;
  /** Bytes of the original line. */
  bytes: number;
  /** Only the first `MAX_HELD_BYTES` are in `text`. */
  truncated: boolean;
}

/** The line as a terminal shows it: text before a carriage return is overwritten, as by progress bars. */
function afterOverwrite(line: string): string {
  let end = line.length;
  while (end > 0 && line.charCodeAt(end - 1) === CR) end -= 1;
  const visible = line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
  // Copy the text, because a slice keeps the whole line in memory: a progress bar would use far more memory than is
  // counted for it.
  return visible.length * 4 < line.length ? Buffer.from(visible, "utf16le").toString("utf16le") : visible;
}

export class LineAssembler {
  #held = Buffer.alloc(0);
  #kept = 0;
  #length = 0;
  /** True after carriage returns at the end of a chunk: they are either a line end or an overwrite. */
  #returned = false;

  /**
   * @param onShort receives a line within bounds: the usual case, without an object for each line
   * @param onLong receives a line that may exceed the bound
   */
  constructor(
    private readonly onShort: (text: string) => void,
    private readonly onLong: (line: AssembledLine) => void,
  ) {}

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const first = bytes.indexOf(LF);
    if (first < 0) {
      this.#hold(bytes);
      return;
    }
    this.#hold(bytes.subarray(0, first));
    this.#finish();
    const last = bytes.lastIndexOf(LF);
    if (last > first) this.#wholeLines(bytes.subarray(first + 1, last));
    this.#hold(bytes.subarray(last + 1));
  }

  /** Ends the stream. Held bytes become a line. */
  end(): void {
    if (this.#length > 0) this.#finish();
    this.#returned = false;
  }

  #wholeLines(block: Buffer): void {
    const lines = block.toString("utf8").split("\n");
    if (lines.some((line) => line.length > SURELY_SHORT)) {
      this.#oneByOne(block);
      return;
    }
    for (const line of lines) this.onShort(line.includes("\r") ? afterOverwrite(line) : line);
  }

  /** The slower path, which counts the bytes of long lines exactly. */
  #oneByOne(block: Buffer): void {
    let start = 0;
    for (let end = block.indexOf(LF); end >= 0; end = block.indexOf(LF, start)) {
      this.#hold(block.subarray(start, end));
      this.#finish();
      start = end + 1;
    }
    this.#hold(block.subarray(start));
    this.#finish();
  }

  #hold(part: Buffer): void {
    let end = part.length;
    while (end > 0 && part[end - 1] === CR) end -= 1;
    if (end > 0) {
      if (this.#returned) this.#reset();
      const overwritten = part.lastIndexOf(CR, end - 1);
      if (overwritten >= 0) this.#reset();
      this.#keep(part.subarray(overwritten + 1, end));
    }
    if (end < part.length) this.#returned = true;
  }

  #keep(part: Buffer): void {
    const take = Math.min(part.length, MAX_HELD_BYTES - this.#kept);
    if (take > 0) {
      if (this.#held.length < this.#kept + take) {
        const grown = Buffer.alloc(Math.max(256, (this.#kept + take) * 2));
        this.#held.copy(grown, 0, 0, this.#kept);
        this.#held = grown;
      }
      part.copy(this.#held, this.#kept, 0, take);
      this.#kept += take;
    }
    this.#length += part.length;
  }

  #reset(): void {
    this.#kept = 0;
    this.#length = 0;
    this.#returned = false;
    if (this.#held.length > MAX_HELD_BYTES / 4) this.#held = Buffer.alloc(0);
  }

  #finish(): void {
    const text = this.#held.toString("utf8", 0, this.#kept);
    const bytes = this.#length;
    const truncated = bytes > this.#kept;
    this.#reset();
    this.#emit(text, bytes, truncated);
  }

  #emit(text: string, bytes: number, truncated: boolean): void {
    if (text.length <= SURELY_SHORT && !truncated) this.onShort(text);
    else this.onLong({ text, bytes, truncated });
  }
}
