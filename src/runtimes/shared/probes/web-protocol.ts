/** Determines whether a port speaks HTTP, by the answer to a request that no route of an application handles. */

import type { WebProtocol } from "../../../stack/runtime.js";
import { timeoutSignal } from "../../../system/wait.js";
import { type Dial, dialLoopback } from "./dial.js";

/** Servers of HTTP answer this request within milliseconds. */
const ANSWER_MS = 250;
/** Without a Host header: Redis logs a security warning about it. src/stack/logs/levels.ts recognises it in access logs. */
const REQUEST = "OPTIONS * HTTP/1.0\r\n\r\n";
const START = "HTTP/";
/** How servers answer plain HTTP on a port with TLS. */
const WANTS_TLS = /^HTTP\/\d(?:\.\d)? 400[\s\S]*\bHTTPS\b/i;
const MOST_BYTES = 4096;

/** @returns null when the port does not accept the connection, or its answer is not HTTP */
export async function webProtocol(
  port: number,
  signal: AbortSignal,
  dial: Dial = dialLoopback,
): Promise<WebProtocol | null> {
  const late = AbortSignal.any([signal, timeoutSignal(ANSWER_MS)]);
  let connection: Awaited<ReturnType<Dial>> | undefined;
  let answer = "";
  const abort = (): void => void connection?.destroy();
  try {
    connection = await dial(port, late);
    late.addEventListener("abort", abort, { once: true });
    connection.write(REQUEST);
    for await (const chunk of connection as AsyncIterable<Buffer>) {
      answer += chunk.toString("latin1");
      const isHttp = answer.startsWith(START.slice(0, answer.length));
      if (!isHttp || answer.length >= MOST_BYTES) break;
    }
  } catch {
    // What arrived before the connection ended counts.
  } finally {
    late.removeEventListener("abort", abort);
    connection?.destroy();
  }
  if (!/^HTTP\/\d/.test(answer)) return null;
  return WANTS_TLS.test(answer) ? "https" : "http";
}
