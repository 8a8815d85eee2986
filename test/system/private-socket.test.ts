import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listenPrivately } from "../../src/system/private-socket.js";

it("listenPrivately creates a socket with mode 600 that survives a failed accept", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-private-"));
  const path = join(folder, "s");
  const server = createServer((socket) => socket.end("well"));
  try {
    await listenPrivately(server, path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // The event that Node.js emits when accept(2) fails.
    server.emit("error", Object.assign(new Error("accept ENOBUFS"), { code: "ENOBUFS" }));
    const socket = connect(path);
    const [data] = await once(socket, "data");
    expect(String(data)).toBe("well");
    socket.destroy();
    await expect(listenPrivately(createServer(), path)).rejects.toMatchObject({ code: "EADDRINUSE" });
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
