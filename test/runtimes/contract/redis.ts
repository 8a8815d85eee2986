/** A service with data, and a client for it. */
import { connect } from "node:net";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { Bench } from "./bench.js";

/** Sends one command to a Redis server. @returns the reply's text */
export function redis(port: number, ...words: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.setTimeout(5000, () => socket.destroy(new Error("Redis does not answer")));
    socket.once("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
      // A bulk string has two lines, all others one.
      const lines = text.split("\r\n");
      if (lines.length < (text.startsWith("$") && !text.startsWith("$-1") ? 3 : 2)) return;
      socket.destroy();
      resolve((lines.at(-2) ?? "").replace(/^[+:$]/, ""));
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
  });
}

/** A Redis server with the volume `store-data`. */
export const redisStore = (bench: Bench, port: number): ServiceDefinition => ({
  ...bench.python("store", "", { ports: [{ containerPort: 6379, hostPort: port, protocol: "tcp" }] }),
  image: bench.target.images.redis,
  // Without a password, a Redis outside of the official image refuses clients on other addresses.
  command: ["redis-server", "--appendonly", "yes", "--appendfsync", "always", "--protected-mode", "no"],
  user: "redis",
  mounts: [{ type: "volume", source: "store-data", target: "/data", readOnly: false }],
  local: { provider: "redis", environment: {} },
});
