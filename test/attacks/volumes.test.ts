/** Volumes of app services, shared only by the services that name them. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { APP, type Server, TestBench } from "../e2e/support/bench.js";
import { isRoot, NAMESPACES } from "./support/processes.js";

const compose = (volumes: Record<string, string[]>): string =>
  [
    "services:",
    ...Object.entries(volumes).flatMap(([name, mounts]) => [
      `  ${name}:`,
      "    image: node:20",
      '    ports: ["8080"]',
      `    volumes: ${JSON.stringify(mounts)}`,
      "    environment: { STORE: /srv-data/uploads }",
      "    tmpfs: [/scratch-in-memory]",
      '    healthcheck: { test: ["CMD", "true"], interval: 1s, start_period: 60s, start_interval: 100ms, x-probe: { type: http, port: 8080, path: /, status: 200 } }',
      '    x-local: { command: ["node", "app.js"] }',
    ]),
    "volumes: { uploads: {}, notes: {}, inner: {} }",
  ].join("\n");

describe.skipIf(!isRoot).each(NAMESPACES)("volumes of a server that runs as root, %s", (_how, env) => {
  let bench: TestBench;
  let server: Server;
  const project = "volumes";

  const begin = async (): Promise<void> => {
    bench = new TestBench("standalone");
    bench.project(project, {
      "compose.yaml": compose({
        writer: ["uploads:/srv-data/uploads"],
        reader: ["uploads:/srv-data/uploads"],
        other: ["notes:/srv-data/uploads", ".:/app", "inner:/app/uploads-in-project"],
      }),
      "app.js": APP,
    });
    server = await bench.server(env);
  };
  beforeAll(begin);
  // A retry must not find the volumes of the failed attempt.
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await bench.close().finally(begin);
  });
  afterAll(() => bench.close());

  const sh = async (service: string, command: string): Promise<{ code: number; text: string }> => {
    const { exit_code, stdout } = await server.call("run_command", { project, service, command, shell: true });
    return { code: exit_code, text: stdout as string };
  };

  it("services that share a volume have its group, and another service cannot read it", async () => {
    const started = await server.call("start_stack", { project, folder: project });
    expect(started.status).toBe("healthy");
    expect(
      (await sh("writer", "umask; mkdir $STORE/in && echo one > $STORE/in/file && stat -c %a $STORE/in/file")).text,
    ).toMatch(/^0*2\n664\n/);
    expect((await sh("reader", "echo two >> $STORE/in/file && cat $STORE/in/file && rm $STORE/in/file")).text).toBe(
      "one\ntwo\n",
    );
    const volumes = join(bench.state, "projects", project, "volumes");
    const { mode, uid, gid } = statSync(join(volumes, "uploads", "data"));
    expect([(mode & 0o7777).toString(8), uid]).toEqual(["2770", 0]);
    // The third service has neither the group nor the files.
    expect((await sh("other", "id -G; ls -A $STORE")).text.split("\n")[0]?.split(" ")).not.toContain(String(gid));
    expect(
      (
        await sh(
          "other",
          `cat ${join(volumes, "uploads", "data", "in", "file")}; ls ${join(volumes, "uploads", "data")}`,
        )
      ).code,
    ).not.toBe(0);
    expect((await sh("other", "echo mine > $STORE/note")).code).toBe(0);
    expect(statSync(join(volumes, "notes", "data", "note")).mode & 0o7777).toBe(0o644);
    expect(readFileSync(join(volumes, "notes", "data", "note"), "utf8")).toBe("mine\n");
    const scratch = await sh(
      "other",
      "cd uploads-in-project 2>&1 && echo deep > deep && pwd; cat /app/uploads-in-project/deep; mount | grep -c /scratch-in-memory",
    );
    if (env.STACKWARDEN_NAMESPACES !== "off") {
      expect(scratch.text).toContain(`${join(bench.projects, project)}/uploads-in-project`);
      expect(readFileSync(join(volumes, "inner", "data", "deep"), "utf8")).toBe("deep\n");
      expect(scratch.text).toMatch(/^1$/m);
    }
    // Nothing is created on the machine itself.
    expect(existsSync("/srv-data")).toBe(false);
    const at = (await sh("writer", "echo $STORE")).text.trim();
    expect(at).toBe(env.STACKWARDEN_NAMESPACES === "off" ? join(volumes, "uploads", "data") : "/srv-data/uploads");
    await server.call("stop_stack", { project });
  });

  // Before, the running service could no longer enter its volume, in 2 of 2 runs.
  it("a command of a service that does not run leaves a running service its volume", async () => {
    const lines = compose({ one: ["uploads:/srv-data/uploads"], late: ["uploads:/srv-data/uploads"] });
    bench.project("pair", {
      "compose.yaml": lines.replace("  late:\n", "  late:\n    profiles: [late]\n"),
      "app.js": APP,
    });
    await server.call("start_stack", { project: "pair", folder: "pair" });
    const run = async (service: string, command: string) => {
      const { exit_code, stdout } = await server.call("run_command", {
        project: "pair",
        service,
        command,
        shell: true,
      });
      return `${exit_code} ${stdout}`;
    };
    expect(await run("one", "echo one > $STORE/file")).toBe("0 ");
    expect(await run("late", "cat $STORE/file; echo late > $STORE/file; echo late > $STORE/more")).toBe("0 one\n");
    expect(await run("one", "cat $STORE/file $STORE/more; rm $STORE/more; echo one > $STORE/new")).toBe(
      "0 late\nlate\n",
    );
    await server.call("restart_service", { project: "pair", service: "one" });
    expect(await run("one", "cat $STORE/new")).toBe("0 one\n");
  });
});
