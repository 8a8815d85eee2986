/**
 * What distinguishes a PostgreSQL cluster from its copy: the system identifier and the nonce of SCRAM, both in
 * `global/pg_control`. The identifier is also in the first page of each WAL segment.
 */
import { randomBytes } from "node:crypto";

/** Reversed polynomial of CRC-32C. */
const POLYNOMIAL = 0x82f63b78;
const NONCE_BYTES = 32;
/** The fields take about 300 bytes; zeros follow up to the file's fixed size. */
const LEAST_BYTES = 200;
const MOST_BYTES = 512;

function withByte(crc: number, byte: number): number {
  let next = crc ^ byte;
  for (let bit = 0; bit < 8; bit += 1) next = (next & 1) === 1 ? (next >>> 1) ^ POLYNOMIAL : next >>> 1;
  return next >>> 0;
}

const checksum = (bytes: Uint8Array): number => ~bytes.reduce(withByte, 0xffffffff) >>> 0;

/** Position of the checksum, which follows the last field; null when no checksum matches. */
function checksumAt(control: Buffer): number | null {
  for (let at = LEAST_BYTES; at <= Math.min(MOST_BYTES, control.length - 4); at += 4)
    if (control.readUInt32LE(at) === checksum(control.subarray(0, at))) return at;
  return null;
}

export interface ClusterIdentity {
  /** The new content of `global/pg_control`. */
  control: Buffer;
  /** The system identifier: 8 bytes, as they are in WAL segments. */
  identifier: Buffer;
}

/**
 * A copy's identity. The nonce is the last field before the checksum.
 * @param control `global/pg_control` of the original
 * @returns null when no known offset has its checksum
 */
export function newIdentity(control: Buffer): ClusterIdentity | null {
  const end = checksumAt(control);
  if (end === null) return null;
  const copy = Buffer.from(control);
  // As initdb does: the time in the upper half.
  copy.writeUInt32LE(Math.floor(Date.now() / 1000), 4);
  randomBytes(4).copy(copy, 0);
  randomBytes(NONCE_BYTES).copy(copy, end - NONCE_BYTES);
  copy.writeUInt32LE(checksum(copy.subarray(0, end)), end);
  return { control: copy, identifier: copy.subarray(0, 8) };
}
