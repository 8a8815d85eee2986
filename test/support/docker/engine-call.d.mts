import type { Readable } from "node:stream";
export function engineCall(
  socketPath: string,
  method: string,
  path: string,
  body?: Readable | Buffer | object,
): Promise<{ status: number; text: string }>;
