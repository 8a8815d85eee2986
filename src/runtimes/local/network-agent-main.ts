/** The program of a stack's network namespace; it runs in the namespace and has no arguments. */
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { type AgentAnswer, type AgentRequest, NetworkAgent } from "./network/agent.js";

const NOBODY = 65_534;

// A server that is not root starts this program without rights over the namespace.
if (process.getuid?.() === 0) {
  // Services are unprivileged and may listen on every port, as in containers.
  writeFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}

for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
process.once("disconnect", () => process.exit(0));
const send = (answer: AgentAnswer, socket?: Socket): void => {
  // The server has ended; so does this process.
  if (process.connected) process.send?.(answer, socket, {}, () => undefined);
};
const agent = new NetworkAgent({ send });
process.on("message", (request: AgentRequest) => void agent.serve(request));
send({ ready: true });
