/** Messages of the control protocol's clients, and their terminals. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { parseRequest } from "../../src/control/protocol.js";
import { remoteTerminal } from "../../src/control/remote-terminal.js";

const parsed = (message: unknown) => parseRequest(JSON.stringify(message));
const size = { columns: 80, rows: 24 };

it("requests, terminals, typed input, changes of size and cancellations are parsed", () => {
  expect(parsed({ id: 1, operation: "list_stacks" })).toEqual({ id: 1, operation: "list_stacks", input: {} });
  const terminal = { ...size, type: "xterm-256color" };
  expect(parsed({ id: 1, operation: "run_command", input: {}, terminal })).toMatchObject({ terminal });
  expect(parsed({ typed: 1, data: "eA==" })).toEqual({ typed: 1, data: "eA==" });
  expect(parsed({ typed: 1 })).toEqual({ typed: 1 });
  expect(parsed({ resize: 1, ...size })).toEqual({ resize: 1, ...size });
  expect(parsed({ cancel: 1 })).toEqual({ cancel: 1 });
});

it.each([
  ["null", null],
  ["only text", "x"],
  ["an id that is not an integer", { id: "1", operation: "x" }],
  ["no operation", { id: 1 }],
  ["a size that is not a number", { resize: 1, columns: "80", rows: 24 }],
  ["a size of zero", { resize: 1, columns: 0, rows: 24 }],
  ["a size above the kernel's limit", { resize: 1, columns: 80, rows: 65_536 }],
])("a message with %s is refused", (_what, message) => expect(parsed(message)).toBeNull());

it("a terminal with an unsafe type is ignored", () => {
  for (const type of ["", "x y", "../x", "x\n", "x".repeat(65), 7])
    expect(parsed({ id: 1, operation: "run_command", terminal: { ...size, type } })).toEqual({
      id: 1,
      operation: "run_command",
      input: {},
    });
});

const open: (Socket | Server)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) "destroy" in one ? one.destroy() : one.close();
});

it("a terminal's output waits for a client that does not read, and typed input is bounded", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  client.pause();
  const [socket] = (await once(server, "connection")) as [Socket];
  open.push(client, socket, server);
  const listenersOfClose = (): number => socket.listenerCount("close") + socket.listenerCount("error");
  const before = listenersOfClose();
  const { terminal, type, close } = remoteTerminal({ ...size, type: "xterm" }, socket, 1);
  const writes: unknown[] = [];
  let written = 0;
  // The kernel buffers the first megabytes.
  for (; written < 64; written += 1) {
    writes.push(terminal.write(Buffer.alloc(1024 * 1024)));
    if (socket.writableLength > 1024 * 1024) break;
  }
  expect(written).toBeLessThan(63);
  let done = false;
  void Promise.resolve(writes.at(-1)).then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toBe(false);
  client.resume();
  await Promise.all(writes);
  expect([socket.listenerCount("drain"), listenersOfClose()]).toEqual([0, before]);

  const data = Buffer.alloc(65_536).toString("base64");
  for (let count = 0; count < 100; count += 1) type(data);
  expect(terminal.input.readableLength).toBeLessThanOrEqual(2 * 1024 * 1024);
  close();
  // Messages that arrive after the command ended.
  type(data);
  type(undefined);
});
