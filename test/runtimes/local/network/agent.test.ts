import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentAnswer, NetworkAgent } from "../../../../src/runtimes/local/network/agent.js";
import { freePort } from "../../contract/bench.js";

describe("NetworkAgent", () => {
  let server: Server;
  let port: number;
  let answers: AgentAnswer[];
  let sockets: Socket[];
  let agent: NetworkAgent;
  beforeEach(async () => {
    server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
    answers = [];
    sockets = [];
    agent = new NetworkAgent({
      send: (answer, socket) => {
        answers.push(answer);
        if (socket !== undefined) sockets.push(socket);
      },
    });
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** What arrives on the socket that was handed over, until its end. */
  const received = () =>
    new Promise<string>((resolve) => {
      let text = "";
      const [socket] = sockets;
      socket?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket?.once("end", () => {
        socket.end();
        resolve(text);
      });
      // The agent hands the socket over before it reads anything.
      socket?.resume();
    });

  it("a connection is handed over with everything that the service sent", async () => {
    await agent.serve({ id: 1, connect: port });
    await expect.poll(() => answers).toEqual([{ id: 1, connected: true }]);
    expect(await received()).toBe("hello");
  });

  it("a refused connection is answered with its error", async () => {
    await agent.serve({ id: 2, connect: await freePort() });
    await expect
      .poll(() => answers)
      .toEqual([{ id: 2, error: { code: "ECONNREFUSED", message: expect.stringContaining("ECONNREFUSED") } }]);
  });

  it("an address forwards to a port until it is closed, and a taken address is answered as such", async () => {
    const from = await freePort();
    const forward = { host: "127.0.0.1", port: from, to: port };
    await agent.serve({ id: 3, forward });
    await agent.serve({ id: 4, forward });
    await agent.serve({ id: 5, connect: from });
    await expect.poll(() => sockets.length).toBe(1);
    expect(await received()).toBe("hello");
    await agent.serve({ id: 6, close: 3 });
    await agent.serve({ id: 7, close: 4 });
    await agent.serve({ id: 8, connect: from });
    await expect.poll(() => answers.length).toBe(6);
    expect(answers).toEqual([
      { id: 3, listens: true },
      { id: 4, listens: false },
      { id: 5, connected: true },
      { id: 6, closed: true },
      { id: 7, closed: true },
      { id: 8, error: expect.objectContaining({ code: "ECONNREFUSED" }) },
    ]);
  });
});
