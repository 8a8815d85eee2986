/** A hostile repository on the docker runtime, on a Docker daemon that the test starts. */
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Server, TestBench } from "../e2e/support/bench.js";
import { contents, startDaemon, type TestDaemon, whyNoDaemon } from "../support/docker/daemon.mjs";
import { openRelay, type Relay } from "../support/docker/relay.js";

const skip = whyNoDaemon();

describe.skipIf(skip !== null)(`docker attacks${skip === null ? "" : `: skipped, ${skip}`}`, () => {
  const bench = new TestBench("standalone");
  let daemon: TestDaemon;
  let relay: Relay;
  let server: Server;
  let project = "";
  let tests = 0;
  /** Sees what the server sends to the engine before the engine does. */
  let sees: (text: string) => void = () => {};

  beforeAll(async () => {
    daemon = await startDaemon({ shortFilter: true, firewall: false });
    relay = await openRelay(join(daemon.folder, "relay.sock"), daemon.socket, undefined, (text) => {
      sees(text);
      return text;
    });
    const engine = { STACKWARDEN_RUNTIME: "docker", STACKWARDEN_DOCKER_HOST: `unix://${relay.path}` };
    server = await bench.server(engine);
  });
  beforeEach(() => {
    tests += 1;
    project = `hostile-${tests}`;
  });
  afterEach(async () => {
    sees = () => {};
    await server.call("stop_stack", { project });
  });
  afterAll(async () => {
    if (daemon !== undefined) await bench.close();
    await relay?.close();
    await daemon?.close();
  });

  const run = (service: string, command: string) =>
    server.call("run_command", { project, service, command, shell: true });

  const SERVICE = (name: string, volumes: string[]) =>
    [
      `  ${name}:`,
      "    image: node:20-alpine",
      "    user: '1000:1000'",
      "    restart: always",
      "    command: [sleep, '1000']",
      // No test uses a network, and the engine needs as much time to create one as to create the container.
      "    network_mode: none",
      `    volumes: ${JSON.stringify(volumes)}`,
    ].join("\n");

  // Before, the service read the foreign folder in 4 of 4 runs, after a restart by a caller and after a crash.
  it("a service cannot replace the source of its bind by a link to a folder of the machine", async () => {
    const outside = join(bench.folder, "outside");
    mkdirSync(outside, { mode: 0o755 });
    writeFileSync(join(outside, "note"), "of another user\n");
    const folder = bench.project(project, {
      "compose.yaml": [
        "services:",
        SERVICE("app", [".:/proj", "./data:/data"]),
        SERVICE("late", ["./not/there:/data", "./file:/file:ro"]),
        "    depends_on: [app]",
      ].join("\n"),
      "data/x": "",
      file: "of the project\n",
    });
    for (const path of ["", "data", "data/x", "file"]) chownSync(join(folder, path), 1000, 1000);
    await server.call("start_stack", { project, folder: project });
    const swap = `cd /proj; for d in data not not/there file; do mv $d $d-2; rm -rf $d; ln -s ${outside} $d; done; ls -l`;
    const { stdout, stderr } = await run("app", swap);
    expect(stdout).not.toContain("->");
    expect(stderr.match(/[Bb]usy/g)?.length).toBeGreaterThanOrEqual(4);
    for (const service of ["app", "late"]) {
      await server.call("restart_service", { project, service });
      expect((await run(service, "cat /data/note /file")).stdout).not.toContain("of another user");
    }
    expect((await run("late", "cat /file; touch /data/mine && echo written")).stdout).toBe("of the project\nwritten\n");
    // Not an attack: what the service writes to a bind reaches the project's folder.
    await run("app", "echo new > /proj/data/y; cp /proj/data/y /data/z");
    expect(readFileSync(join(folder, "data/z"), "utf8")).toBe("new\n");
  });

  // Before, a running service could replace the new source in 1 of 1 runs.
  it("a running service cannot replace the source of a bind that is added later", async () => {
    const compose = (services: string[]) => ["services:", SERVICE("app", [".:/proj"]), ...services].join("\n");
    const folder = bench.project(project, { "compose.yaml": compose([]), "data/x": "" });
    for (const path of ["", "data", "data/x"]) chownSync(join(folder, path), 1000, 1000);
    await server.call("start_stack", { project, folder: project });
    writeFileSync(join(folder, "compose.yaml"), compose([SERVICE("late", ["./data:/data"])]));
    const { changes, ...rest } = await server.call("start_stack", { project });
    expect(JSON.stringify({ changes, rest })).toContain("data, in a folder that it can write to, became a mount");
    const { stderr } = await run("app", "cd /proj; mv data data-2 && ln -s /etc data");
    expect(stderr).toMatch(/[Bb]usy/);
    await server.call("restart_service", { project, service: "late" });
    expect((await run("late", "ls /data")).stdout).toContain("x\n");
  });

  // Before, the engine mounted the foreign folder.
  it("a link in place of a bind's source is refused", async () => {
    const folder = bench.project(project, {
      "compose.yaml": `services:\n${SERVICE("app", ["./data:/data"])}`,
      "data/x": "",
    });
    await server.call("start_stack", { project, folder: project });
    rmSync(join(folder, "data"), { recursive: true });
    symlinkSync("/etc", join(folder, "data"));
    const error = await server.refused("restart_service", { project, service: "app" });
    expect(error).toMatchObject({ code: "POLICY_VIOLATION" });
    expect((await server.refused("start_stack", { project })).code).toBe("POLICY_VIOLATION");
  });

  // Before, the container showed the foreign folder in 2 of 2 starts.
  it.each([
    ["leaves the link there", "POLICY_VIOLATION"],
    ["restores the folder", "SERVICE_START_FAILED"],
  ])(
    "a start fails when the project's owner puts a link in place of a bind for the moment of the mount, and %s",
    async (then, code) => {
      const outside = mkdtempSync(join(tmpdir(), "stackwarden-outside-"));
      writeFileSync(join(outside, "note"), "of another user\n");
      let data = "";
      let mounts = 0;
      sees = (text) => {
        if (/^POST \S*\/containers\/\w+\/start /.test(text) && mounts++ === 0) {
          renameSync(data, `${data}-2`);
          symlinkSync(outside, data);
        } else if (mounts === 1 && then === "restores the folder") {
          mounts += 1;
          rmSync(data);
          renameSync(`${data}-2`, data);
        }
      };
      try {
        const folder = bench.project(project, {
          "compose.yaml": `services:\n${SERVICE("app", ["./data:/data"])}`,
          "data/note": "of the project\n",
        });
        data = join(folder, "data");
        const error = await server.refused("start_stack", { project, folder: project });
        expect(error).toMatchObject({
          code,
          message: expect.stringContaining(`${data}, which it binds, was replaced`),
        });
        expect(mounts).toBe(then === "restores the folder" ? 2 : 1);
        expect((await contents(daemon.socket)).containers).toEqual([]);
      } finally {
        rmSync(outside, { recursive: true });
      }
    },
  );
});
