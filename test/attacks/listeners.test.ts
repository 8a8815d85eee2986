/** Sockets on a service's port and sockets of the service, observed for the service's whole life. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { APP, appCompose, type Server, servicesOf, TestBench, until } from "../e2e/support/bench.js";
import { isRoot } from "./support/processes.js";

/** In a separate network, no other program can listen on a service's ports. */
const SHARED = { STACKWARDEN_LOCAL_NETWORK: "shared" };

describe.skipIf(!isRoot)("sockets of a service and a server that runs as root", () => {
  let bench: TestBench;
  let server: Server;
  let stranger: ChildProcess | undefined;
  let tests = 0;
  let project = "";

  beforeAll(async () => {
    bench = new TestBench("standalone");
    server = await bench.server(SHARED);
  });
  beforeEach(() => {
    tests += 1;
    project = `listener-${tests}`;
  });
  afterEach(async () => {
    stranger?.kill("SIGKILL");
    stranger = undefined;
    await server.call("stop_stack", { project });
  });
  afterAll(() => bench.close());

  const start = async (app: string) => {
    bench.project(project, {
      "compose.yaml": appCompose().replace("restart: on-failure", 'restart: "no"'),
      "app.js": app,
    });
    const { after } = await server.call("start_stack", { project, folder: project });
    return after.services.app as { endpoints: { host_port: number }[]; notes: string[] };
  };

  // Before, the other program's answers made the service healthy in 3 of 3 runs.
  it("a service whose port another user's program took becomes unhealthy with the reason", async () => {
    const app = `${APP}\nsetTimeout(() => {}, 1e9);\nprocess.on("SIGUSR2", () => process._getActiveHandles().forEach((one) => one.close?.()));`;
    const { endpoints } = await start(app);
    const port = endpoints[0]?.host_port as number;
    process.kill((await servicesOf(server, project)).app.pid, "SIGUSR2");
    const answers = `require("http").createServer((q, r) => r.end("stranger")).on("error", () => process.exit(1)).listen(${port}, "127.0.0.1", () => console.log("listens"))`;
    await until("the stranger has the port", async () => {
      stranger = spawn(process.execPath, ["-e", answers], {
        uid: 65_534,
        gid: 65_534,
        stdio: ["ignore", "pipe", "ignore"],
      });
      const event = await Promise.race([
        once(stranger, "exit"),
        once(stranger.stdout as NodeJS.ReadableStream, "data"),
      ]);
      return String(event[0]).startsWith("listens");
    });
    expect(await fetch(`http://127.0.0.1:${port}/health`).then((response) => response.text())).toBe("stranger");
    const message = await until("it is unhealthy", async () => {
      const report = JSON.stringify(await server.call("health_status", { project }));
      return report.includes("unhealthy") && /port \d+ belongs to another program \(user 65534\)/.exec(report)?.[0];
    });
    expect(message).toContain(String(port));
  });

  // Before, the other program received the password with the first check.
  it("a program on a database's port does not receive the database's password", async () => {
    const password = "a-password-of-the-test";
    bench.project(project, {
      "compose.yaml": `services:\n  db:\n    image: redis:7\n    ports: ['6379']\n    command: redis-server --requirepass ${password}\n    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s }\n`,
    });
    await server.call("start_stack", { project, folder: project });
    const port: number = (await servicesOf(server, project)).db.endpoints[0].host_port;
    const close = `redis-cli -p $REDIS_PORT config set port 0`;
    await server.call("run_command", { project, service: "db", command: close, shell: true });
    const heard: Buffer[] = [];
    const listener = createServer((socket) => socket.on("data", (chunk) => heard.push(chunk)).on("error", () => {}));
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
    try {
      await until("it is unhealthy", async () =>
        JSON.stringify(await server.call("health_status", { project })).includes("belongs to another program"),
      );
      expect(Buffer.concat(heard).toString()).not.toContain(password);
    } finally {
      listener.close();
    }
  });

  // Before, in 3 of 3 runs no event and no note named the port.
  it("a service that listens on every address is reported, also long after its start", async () => {
    // The service listens on its port after the runtime's wait for a start, and on another port once it is healthy.
    const late = `setTimeout(() => {${APP.replace("process.env.HOST", '"0.0.0.0"')}}, 2000);`;
    const { notes } = await start(
      `${late}\nsetTimeout(() => require("http").createServer().listen(0, "0.0.0.0", () => console.log("open")), 5000);`,
    );
    const warning = /listens on port \d+ of every address/;
    expect(notes).toContainEqual(expect.stringMatching(warning));
    const warnings = await until("the second warning", async () => {
      const { events } = await server.call("get_events", { project, limit: 50 });
      const found = events.filter(({ message }: { message: string }) => warning.test(message));
      return found.length > 1 && found;
    });
    expect(warnings).toMatchObject([{ service: "app" }, { service: "app" }]);
  });
});
