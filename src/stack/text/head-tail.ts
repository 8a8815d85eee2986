/** Keeps the beginning and the end of a text of any length in bounded memory. */
import { cutAtBytes } from "./sanitize-text.js";

/** At most the last `maxBytes` UTF-8 bytes, from a code point boundary. */
function endOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let from = bytes.length - maxBytes;
  while (from < bytes.length && ((bytes[from] as number) & 0xc0) === 0x80) from += 1;
  return bytes.toString("utf8", from);
}

export interface Excerpt {
  text: string;
  /** UTF-8 bytes that are not in `text`. */
  omitted: number;
}

export class HeadTail {
  #head = "";
  #headBytes = 0;
  /** Text pieces after the head, oldest first; at most about `maxBytes` bytes. */
  readonly #tail: { text: string; bytes: number }[] = [];
  #tailBytes = 0;
  #total = 0;

  /** @param maxBytes maximum UTF-8 bytes kept of each end */
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

  /** The whole text when it fits into `budget` bytes, else its beginning and end with a mark between them. */
  excerpt(budget: number): Excerpt {
    const text = this.#head + this.#tail.map((part) => part.text).join("");
    if (this.#total <= budget && this.#headBytes + this.#tailBytes === this.#total) return { text, omitted: 0 };
    const head = cutAtBytes(this.#head.length > 0 ? this.#head : text, Math.floor(budget / 3));
    const end = endOf(text, budget - Buffer.byteLength(head));
    const omitted = this.#total - Buffer.byteLength(head) - Buffer.byteLength(end);
    if (omitted <= 0) return { text, omitted: 0 };
    return { text: `${head}\n[… ${omitted} bytes left out …]\n${end}`, omitted };
  }
}
