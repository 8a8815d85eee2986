/** Input of a project takes effect only in processes without the server's rights, inside the service's cgroup. */
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Server, TestBench, until } from "../e2e/support/bench.js";
import { preloadLibrary } from "./support/preload.js";
import { isRoot, NAMESPACES, processesNaming, processesOfUid, recorded, recordTo } from "./support/processes.js";
import { hasKeyrings, readSessionKey, withSessionKey } from "./support/session-keyring.js";

const written = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");
const canPreload = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!isRoot).each(NAMESPACES)("start of a service by a server that runs as root, %s", (_how, env) => {
  let bench: TestBench;
  let server: Server;
  let secret: string;
  const mark = `attack-${process.pid}`;

  beforeAll(async () => {
    bench = new TestBench("standalone");
    // The server inherits descriptors of a file that only root reads, and a session keyring with a key.
    secret = join(bench.folder, "root-only");
    writeFileSync(secret, "for root alone\n", { mode: 0o600 });
    const descriptors = ["/bin/bash", "-c", 'exec 7<"$0" 63<"$0" 200<"$0"; exec "$@"', secret];
    bench.wrapper = hasKeyrings ? [...descriptors, ...withSessionKey] : descriptors;
    mkdirSync(bench.projects, { recursive: true });
    server = await bench.server(env);
  });
  afterAll(() => bench.close());

  /** Each project has a folder that is world-writable, so that the attack can report. */
  const recordOf = (project: string): string => {
    const open = join(bench.projects, project, "open");
    mkdirSync(open, { recursive: true });
    chmodSync(open, 0o777);
    return join(open, "record");
  };
  const start = async (
    project: string,
    service: { command: string[]; environment?: Record<string, string>; healthcheck?: object },
    files: Record<string, string> = {},
  ) => {
    const app = {
      image: "busybox",
      environment: {},
      healthcheck: { test: ["CMD", "true"], interval: "300ms", start_period: "20s", start_interval: "100ms" },
      ...service,
      command: undefined,
      // Compose replaces variables.
      "x-local": { command: service.command.map((word) => word.replaceAll("$", "$$$$")) },
    };
    bench.project(project, { "compose.yaml": JSON.stringify({ services: { app } }), ...files });
    await server.call("start_stack", { project, folder: project });
  };
  const uidOf = async (project: string): Promise<number> => {
    const { stacks } = await server.call("list_stacks");
    const stack = stacks.find((one: { project: string }) => one.project === project);
    return stack.services.app.user.uid as number;
  };

  // Before, in 3 of 3 runs starts and checks ran the library without no_new_privs and outside every cgroup.
  it.runIf(canPreload)(
    "a library of LD_PRELOAD runs only with no_new_privs inside the cgroup, and its processes end",
    async () => {
      const project = "preload";
      const record = recordOf(project);
      const library = join(bench.projects, project, "preload.so");
      writeFileSync(library, preloadLibrary(`${recordTo(record)}; : ${mark}; exec sleep 300 9>&-`), { mode: 0o755 });
      // Each program that the command runs loads the library.
      await start(project, {
        command: ["/bin/sh", "-c", "/bin/true; exec sleep 1000"],
        environment: { LD_PRELOAD: library },
      });
      const uid = await uidOf(project);
      // The service and at least three checks.
      await until("the library ran", () => recorded(record).length >= 8);
      for (const one of recorded(record)) {
        expect(one).toMatchObject({ uid, noNewPrivs: true, capabilities: "0000000000000000" });
        expect(one.cgroups.join("\n")).toContain("stackwarden-");
      }
      expect(processesOfUid(uid).length).toBeGreaterThan(3);
      await server.call("stop_stack", { project });
      expect(processesOfUid(uid)).toEqual([]);
      expect(processesNaming(mark)).toEqual([]);
    },
  );

  // This held before as well.
  it("PATH, ENV, BASH_ENV and PERL5OPT run nothing before the service's command", async () => {
    const project = "path";
    const record = recordOf(project);
    const evil = `#!/bin/sh\n${recordTo(record)}\nexec "/usr/bin/$(basename "$0")" "$@"\n`;
    const files = Object.fromEntries(
      ["setpriv", "env", "sh", "perl", "bwrap", "nsenter"].map((name) => [`bin/${name}`, evil]),
    );
    const folder = bench.project(project, files);
    for (const name of Object.keys(files)) chmodSync(join(folder, name), 0o755);
    const bin = join(folder, "bin");
    const environment = {
      PATH: `${bin}:/usr/bin:/bin`,
      ENV: `${bin}/env`,
      BASH_ENV: `${bin}/env`,
      PERL5OPT: "-d",
      "odd.name": "x",
    };
    await start(project, { command: ["sleep", "1000"], environment });
    expect(recorded(record)).toEqual([]);
    await server.call("stop_stack", { project });
  });

  // Before, a root-only file was open and readable in the service, in 3 of 3 runs.
  it("a service does not inherit the server's file descriptors", async () => {
    const project = "descriptors";
    expect(readlinkSync(`/proc/${server.pid}/fd/7`)).toBe(secret);
    const record = recordOf(project);
    const list = `for fd in /proc/self/fd/*; do echo "$fd $(readlink $fd)"; done > ${record}; cat <&7 >> ${record}; echo end >> ${record}; exec sleep 1000`;
    await start(project, { command: ["/bin/bash", "list.sh"] }, { "list.sh": list });
    const seen = await until("the end of the list", () => /^end$/m.test(written(record)) && written(record));
    expect(seen).toContain("/proc/self/fd/1 ");
    expect(seen).not.toContain(secret);
    expect(seen).not.toContain("for root alone");
    await server.call("stop_stack", { project });
  });

  // Before, the service and the command read the key in 3 of 3 runs.
  it.runIf(hasKeyrings)("services and commands do not read the keys of the server's session", async () => {
    const project = "keys";
    const record = recordOf(project);
    const script = `"$@" > ${record}; exec sleep 1000`;
    await start(project, { command: ["/bin/sh", "-c", script, "sh", ...readSessionKey] });
    const { stdout } = await server.call("run_command", { project, service: "app", command: [...readSessionKey] });
    const service = await until("the answer of the service", () => written(record));
    expect(service + stdout).toBe("no key: Operation not permitted\n".repeat(2));
    await server.call("stop_stack", { project });
  });

  // Before, all 3,000 processes started in 3 of 3 runs.
  it("a fork bomb without a configured limit ends at the default number of processes", async () => {
    const project = "bomb";
    // Each process of the bomb is a copy of the shell that waits for a line, and the service keeps running.
    const bomb = `
mkfifo "$HOME/never" && exec 3<> "$HOME/never"
n=0; while [ $n -lt 3000 ]; do { read -r line <&3; } & n=$((n+1)); done; echo made $n`;
    const script = "/bin/sh bomb.sh; echo bomb refused; exec sleep 1000";
    // A check would need one of the processes.
    const healthcheck = { disable: true };
    await start(project, { command: ["/bin/sh", "-c", script], healthcheck }, { "bomb.sh": bomb });
    const uid = await uidOf(project);
    const line = await until("the bomb ends", async () => {
      const { lines } = await server.call("get_logs", {
        project,
        grep: "bomb refused|made 3000",
        regex: true,
        tail: 10,
      });
      return lines[0]?.text as string | undefined;
    });
    expect(line).toBe("bomb refused");
    const { length } = processesOfUid(uid);
    expect(length).toBeGreaterThan(1024);
    expect(length).toBeLessThanOrEqual(2048);
    await server.call("stop_stack", { project });
    expect(processesOfUid(uid)).toEqual([]);
  });
});
