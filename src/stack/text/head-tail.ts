/** Keeps the beginning and the end of a text that may be of any length, in bounded memory. */
import { cutAtBytes } from "./sanitize-text.js";

/** The last `maxBytes` UTF-8 bytes at most, from a code point's border. */
function endOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let from = bytes.length - maxBytes;
  while (from < bytes.length && ((bytes[from] as number) & 0xc0) === 0x80) from += 1;
  return bytes.toString("utf8", from);
}

export interface Excerpt {
  text: string;
  /** Bytes that are not in `text`. */
  omitted: number;
}

export class HeadTail {
  #head = "";
  #headBytes = 0;
  /** Pieces after the head, the oldest first; at most about `maxBytes`. */
  readonly #tail: { text: string; bytes: number }[] = [];
  #tailBytes = 0;
  #total = 0;

  /** @param maxBytes most UTF-8 bytes of each end that are kept */
  constructor(private readonly maxBytes: number) {}

  /** UTF-8 bytes of everything that was pushed. */
  get total(): number {
    return this.#total;
  }

  push(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#total += bytes;
    if (this.#tail.length === 0 && this.#headBytes + bytes <= this.maxBytes) {
      this.#head += text;
      this.#headBytes += bytes;
      return;
    }
    this.#tail.push({ text, bytes });
    this.#tailBytes += bytes;
    while (this.#tail.length > 1 && this.#tailBytes - (this.#tail[0]?.bytes ?? 0) >= this.maxBytes)
      this.#tailBytes -= this.#tail.shift()?.bytes ?? 0;
  }

  /** Everything when it fits into the budget, else its beginning and its end with a mark between them. */
  excerpt(budget: number): Excerpt {
    const kept = this.#head + this.#tail.map(({ text }) => text).join("");
    if (this.#total <= budget && this.#headBytes + this.#tailBytes === this.#total) return { text: kept, omitted: 0 };
    const head = cutAtBytes(this.#head.length > 0 ? this.#head : kept, Math.floor(budget / 3));
    const end = endOf(kept, budget - Buffer.byteLength(head));
    const omitted = this.#total - Buffer.byteLength(head) - Buffer.byteLength(end);
    if (omitted <= 0) return { text: kept, omitted: 0 };
    return { text: `${head}\n[… ${omitted} bytes left out …]\n${end}`, omitted };
  }
}
