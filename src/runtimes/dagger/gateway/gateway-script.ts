/**
 * The gateway's program inside the session: it connects to the server, opens the requested connections and joins the
 * two. Plain Node.js without dependencies. It has no listening socket, so services of the session cannot use it.
 */

/** Path where it is mounted. */
export const GATEWAY_PATH = "/.stackwarden/gateway.cjs";
/** Environment variable with the shared secret. */
export const TOKEN_VARIABLE = "STACKWARDEN_GATEWAY_TOKEN";

/**
 * Arguments: host and port of the server as the session sees them. The first line of every connection is
 * `<token> control` or `<token> open <number>`; on the control connection come lines of JSON:
 * `{id, host, port, ms}` to it, `{id, failed: code}` from it.
 */
export const GATEWAY_SCRIPT = `"use strict";
const net = require("node:net");
const [host, port] = process.argv.slice(2);
const token = process.env.${TOKEN_VARIABLE};
delete process.env.${TOKEN_VARIABLE};

function dialOut(line) {
  const socket = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  socket.write(token + " " + line + "\\n");
  return socket;
}

function join(one, other) {
  for (const [from, to] of [[one, other], [other, one]]) {
    from.pipe(to);
    from.on("error", () => {});
    from.on("close", () => { if (!from.readableEnded || !from.writableFinished) to.resetAndDestroy(); });
  }
}

const control = dialOut("control");
control.setKeepAlive(true, 10000);
control.setEncoding("utf8");
control.on("error", (error) => { if (error.syscall === "connect" || error.code === "ENOTFOUND") console.error("the server cannot be reached: " + error.code); });
control.on("close", () => process.exit(0));
control.on("end", () => process.exit(0));

function open(request) {
  const target = net.connect({ host: request.host, port: request.port, allowHalfOpen: true, noDelay: true });
  const fail = (code) => {
    clearTimeout(timer);
    target.destroy();
    control.write(JSON.stringify({ id: request.id, failed: code }) + "\\n");
  };
  const timer = setTimeout(fail, request.ms, "ETIMEDOUT");
  const failed = (error) => fail(error.code || "ECONNREFUSED");
  target.once("error", failed);
  target.once("connect", () => {
    clearTimeout(timer);
    target.off("error", failed);
    join(target, dialOut("open " + request.id));
  });
}

let rest = "";
control.on("data", (chunk) => {
  const lines = (rest + chunk).split("\\n");
  rest = lines.pop();
  for (const line of lines) open(JSON.parse(line));
});
`;
