/** One request to the Engine API of a daemon under test, without the client library that is tested. */
import { request } from "node:http";

/**
 * @param {string} socketPath
 * @param {string} method
 * @param {string} path
 * @param {import("node:stream").Readable | Buffer | object} [body] an object is sent as JSON
 * @returns {Promise<{status: number, text: string}>}
 */
export function engineCall(socketPath, method, path, body) {
  return new Promise((resolve, reject) => {
    const raw = body === undefined || Buffer.isBuffer(body) || typeof (/** @type {any} */ (body).pipe) === "function";
    const type = raw ? "application/x-tar" : "application/json";
    const call = request({ socketPath, method, path, headers: body === undefined ? {} : { "Content-Type": type } });
    call.once("error", reject);
    call.once("response", (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    if (body === undefined) call.end();
    else if (Buffer.isBuffer(body)) call.end(body);
    else if (raw) /** @type {import("node:stream").Readable} */ (body).pipe(call);
    else call.end(JSON.stringify(body));
  });
}
