/** Splits a byte stream into lines. */

const NEWLINE = 10;

export class LineSplitter {
  #parts: Buffer[] = [];
  #size = 0;

  /**
   * @param onLine receives each line that is not blank, without its line end
   * @param maxBytes maximum bytes of a line
   */
  constructor(
    private readonly onLine: (line: string) => void,
    private readonly maxBytes: number,
  ) {}

  /** @returns false when a line exceeds the limit */
  push(chunk: Buffer): boolean {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#parts.push(chunk.subarray(from, end));
      from = end + 1;
      this.end();
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#size += chunk.length - from;
    }
    return this.#size <= this.maxBytes;
  }

  /** Delivers the bytes after the last line end as a line. */
  end(): void {
    const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    const text = line.toString("utf8");
    if (text.trim() !== "") this.onLine(text.endsWith("\r") ? text.slice(0, -1) : text);
  }
}
