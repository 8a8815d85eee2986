/**
 * Moves the entries of a tar archive into a folder. Names and all other attributes stay as bytes: a name need not be
 * UTF-8.
 */
const BLOCK = 512;
/** The largest extended header that the engine reads. */
const MAX_EXTENDED_BYTES = 1_048_576;

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

class ArchiveReader {
  #rest: Buffer = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(archive: AsyncIterable<Buffer>) {
    this.#chunks = archive[Symbol.asyncIterator]();
  }

  /** @returns between one and `limit` bytes */
  async some(limit: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error("The archive ends early.");
      this.#rest = value;
    }
    const bytes = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(bytes.length);
    return bytes;
  }

  async exactly(size: number): Promise<Buffer> {
    const first = size === 0 ? Buffer.alloc(0) : await this.some(size);
    if (first.length === size) return first;
    const parts = [first];
    for (let left = size - first.length; left > 0; ) {
      const part = await this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }
}

/** Text of one byte per character, so that every name survives. */
const text = (bytes: Buffer): string => {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end === -1 ? bytes.length : end);
};

const octal = (bytes: Buffer): number => Number.parseInt(text(bytes).trim() || "0", 8);

function checksum(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at += 1) if (at < 148 || at >= 156) sum += header[at] as number;
  return sum;
}

function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  const size = (field[0] as number) & 0x80 ? field.readUIntBE(6, 6) : octal(field);
  if (!Number.isSafeInteger(size)) throw new Error("The archive has an entry without a size.");
  return size;
}

function nameOf(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const prefix = header.toString("latin1", 257, 263) === "ustar\0" ? text(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The records of an extended header: `<length> <key>=<value>\n` each. */
function readRecords(data: Buffer, records: Map<string, string>): void {
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number.parseInt(data.toString("latin1", at, space), 10);
    const record = data.toString("latin1", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (space === -1 || equals < 1 || data[at + length - 1] !== 0x0a)
      throw new Error("The archive has a damaged extended header.");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
}

function extendedHeader(records: ReadonlyMap<string, string>): Buffer {
  const data = Buffer.from(
    [...records]
      .map(([key, value]) => {
        const rest = ` ${key}=${value}\n`;
        let length = rest.length;
        while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
        return `${length}${rest}`;
      })
      .join(""),
    "latin1",
  );
  const block = Buffer.alloc(BLOCK + padded(data.length));
  block.write("PaxHeader", 0);
  block.write(`0000644\0${"0000000\0".repeat(2)}`, 100);
  block.write(`${data.length.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`, 124);
  block.write("x", 156);
  block.write("ustar\x0000", 257);
  block.write(`${checksum(block.subarray(0, BLOCK)).toString(8).padStart(6, "0")}\0 `, 148);
  data.copy(block, BLOCK);
  return block;
}

/**
 * @param folder relative to the place where the archive is unpacked, with a slash at the end
 * @throws an error for an archive that is damaged or ends early
 */
export async function* moveEntries(archive: AsyncIterable<Buffer>, folder: string): AsyncGenerator<Buffer> {
  const reader = new ArchiveReader(archive);
  let records = new Map<string, string>();
  for (;;) {
    const header = await reader.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (octal(header.subarray(148, 156)) !== checksum(header)) throw new Error("The archive has a damaged header.");
    const type = String.fromCharCode(header[156] as number);
    if ("xLK".includes(type)) {
      const size = sizeOf(header);
      if (size > MAX_EXTENDED_BYTES) throw new Error("The archive has an extended header that is too large.");
      const data = (await reader.exactly(padded(size))).subarray(0, size);
      if (type === "x") readRecords(data, records);
      else records.set(type === "L" ? "path" : "linkpath", text(data));
      continue;
    }
    const size = Number(records.get("size") ?? sizeOf(header));
    records.set("path", `${folder}${records.get("path") ?? nameOf(header)}`);
    if (type === "1") records.set("linkpath", `${folder}${records.get("linkpath") ?? text(header.subarray(157, 257))}`);
    yield extendedHeader(records);
    yield header;
    records = new Map();
    // Links, devices, folders and FIFOs have no content.
    for (let left = "123456".includes(type) ? 0 : padded(size); left > 0; ) {
      const content = await reader.some(left);
      yield content;
      left -= content.length;
    }
  }
  yield Buffer.alloc(2 * BLOCK);
}
