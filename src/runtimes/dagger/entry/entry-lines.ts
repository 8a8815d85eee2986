/** Separates the entry script's messages from a service's raw standard error, however it is split into chunks. */
import { ENTRY_MARK, type EntryMessage } from "./types.js";

/** Longer than any line of the script; a longer line belongs to the service. */
const MOST_BYTES = 4096;
const NEWLINE = 0x0a;

type Raw = { type?: unknown } & Record<string, unknown>;

/** Parses a message; null for text that the script does not produce. */
function parse(text: string): EntryMessage | null {
  let raw: Raw | null;
  try {
    raw = JSON.parse(text) as Raw | null;
  } catch {
    return null;
  }
  if (raw === null) return null;
  const number = (name: string): number => (typeof raw[name] === "number" ? raw[name] : Number.NaN);
  switch (raw.type) {
    case "start":
      return {
        type: "start",
        uid: number("uid"),
        gid: number("gid"),
        noNewPrivileges: raw.noNewPrivileges === true,
        capabilities: String(raw.capabilities),
        seccomp: raw.seccomp === true,
        cgroup: raw.cgroup === "v1" || raw.cgroup === "v2" ? raw.cgroup : null,
        empty: Array.isArray(raw.empty) ? raw.empty.filter((one) => Number.isInteger(one)) : [],
      };
    case "unlimited":
      return { type: "unlimited", waitedSeconds: number("waitedSeconds") };
    case "health":
      return {
        type: "health",
        exitCode: number("exitCode"),
        timedOut: raw.timedOut === true,
        // In hexadecimal, because a shell cannot quote for JSON.
        output: Buffer.from(String(raw.output), "hex").toString("utf8"),
      };
    default:
      return null;
  }
}

export class EntryLines {
  readonly #mark: Buffer;
  #pending: Buffer = Buffer.alloc(0);

  constructor(
    token: string,
    private readonly onMessage: (message: EntryMessage) => void,
  ) {
    this.#mark = Buffer.from(`${ENTRY_MARK}${token}`);
  }

  /** @returns the service's output; the beginning of a possible message is kept until its end arrives */
  take(chunk: Uint8Array): Buffer {
    const all = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    const service: Buffer[] = [];
    let from = 0;
    for (;;) {
      const at = this.#next(all, from);
      service.push(all.subarray(from, at));
      from = at;
      if (at === all.length) break;
      const end = all.indexOf(NEWLINE, at + this.#mark.length);
      if (end < 0) {
        if (all.length - at <= MOST_BYTES) break;
        from = at + 1;
        service.push(all.subarray(at, from));
        continue;
      }
      const message = parse(all.toString("utf8", at + this.#mark.length, end));
      if (message === null) service.push(all.subarray(at, end + 1));
      else this.onMessage(message);
      from = end + 1;
    }
    this.#pending = Buffer.from(all.subarray(from));
    return Buffer.concat(service);
  }

  /** Called at the end of the stream: returns the incomplete message, which was output of the service. */
  end(): Buffer {
    const rest = this.#pending;
    this.#pending = Buffer.alloc(0);
    return rest;
  }

  /**
   * Position of the next marker, complete or cut off at the end of the text; the end of the text when there is none.
   */
  #next(all: Buffer, from: number): number {
    const whole = all.indexOf(this.#mark, from);
    if (whole >= 0) return whole;
    for (let at = Math.max(from, all.length - this.#mark.length + 1); at < all.length; at++)
      if (this.#mark.subarray(0, all.length - at).equals(all.subarray(at))) return at;
    return all.length;
  }
}
