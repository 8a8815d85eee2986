/** The part of the Protocol Buffers encoding that BuildKit's session and progress messages need. */

/** A field of a message: `bytes` for strings, bytes and messages, else `value`. */
export interface Field {
  number: number;
  bytes: Buffer | null;
  /** The number of a field with a variable length; 0 for other fields. */
  value: number;
}

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;
const LONGEST_VARINT = 10;

/** Larger numbers, which these messages use only for times, lose precision. */
function varint(message: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let length = 0; length < LONGEST_VARINT; length += 1) {
    const byte = message[at + length];
    if (byte === undefined) throw new RangeError("The message ends within a number.");
    value += (byte & 0x7f) * 2 ** (7 * length);
    if (byte < 0x80) return { value, next: at + length + 1 };
  }
  throw new RangeError("A number of the message is too long.");
}

/** @throws RangeError for a message that is not valid */
export function* fields(message: Buffer): Generator<Field> {
  for (let at = 0; at < message.length; ) {
    const key = varint(message, at);
    const number = Math.floor(key.value / 8);
    const type = key.value % 8;
    if (type === VARINT) {
      const { value, next } = varint(message, key.next);
      yield { number, bytes: null, value };
      at = next;
      continue;
    }
    const size =
      type === BYTES
        ? varint(message, key.next)
        : { value: type === FIXED_64 ? 8 : type === FIXED_32 ? 4 : Number.POSITIVE_INFINITY, next: key.next };
    at = size.next + size.value;
    if (at > message.length) throw new RangeError("The message ends within a field.");
    yield { number, bytes: message.subarray(size.next, at), value: 0 };
  }
}

/** The text of a message's first field with this number; empty when it is absent. */
export function textField(message: Buffer, number: number): string {
  for (const field of fields(message)) if (field.number === number) return field.bytes?.toString() ?? "";
  return "";
}

/** Encodes a field of bytes or text. */
export function encodeField(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  const key = [number * 8 + BYTES];
  let rest = bytes.length;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) key.push((rest % 0x80) + 0x80);
  return Buffer.concat([Buffer.from([...key, rest]), bytes]);
}
