/** Redis check: AUTH when there is a password, then a PING, in the Redis protocol (RESP). */
import type { Check } from "./bounded.js";
import { ServiceStarting } from "./command-verdict.js";
import { type Dial, dialLoopback } from "./dial.js";

/** One request as an array of bulk strings: the password can hold anything. */
function encode(words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** Maximum length of a reply. Replies are short lines here; a longer one does not come from Redis. */
const MAX_REPLY = 4096;

export const redisCheck =
  ({ port, password, dial = dialLoopback }: { port: number; password: string | null; dial?: Dial }): Check =>
  async (signal) => {
    const socket = await dial(port, signal);
    return new Promise((resolve, reject) => {
      let text = "";
      let expected = password === null ? 1 : 2;
      const fail = (message: string) => {
        socket.destroy();
        reject(message.startsWith("LOADING ") ? new ServiceStarting(message) : new Error(message));
      };
      socket.setEncoding("utf8");
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed without an answer")));
      signal.addEventListener("abort", () => socket.destroy(), { once: true });
      socket.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_REPLY) return fail("the answer is not Redis's");
        for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
          const line = text.slice(0, end);
          text = text.slice(end + 2);
          if (line.startsWith("-")) return fail(line.slice(1));
          if (!line.startsWith("+")) return fail("the answer is not Redis's");
          expected--;
          if (expected > 0) continue;
          if (line !== "+PONG") return fail(`answered ${line.slice(1)} instead of PONG`);
          socket.destroy();
          return resolve("PONG");
        }
      });
      socket.write((password === null ? "" : encode(["AUTH", password])) + encode(["PING"]));
    });
  };
