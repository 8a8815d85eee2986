/** Input of a project takes effect only in processes without the server's rights, inside the service's cgroup. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { APP, appCompose, type Server, TestBench, until } from "../e2e/support/bench.js";
import { preloadLibrary } from "./support/preload.js";
import { isRoot, NAMESPACES, processesNaming, processesOfUid, recorded, recordTo } from "./support/processes.js";
import { hasKeyrings, readSessionKey, withSessionKey } from "./support/session-keyring.js";

const canPreload = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!isRoot).each(NAMESPACES)("start of a service by a server that runs as root, %s", (_how, env) => {
  let bench: TestBench;
  let server: Server;
  let open: string;
  let record: string;
  const project = "victim";
  const mark = `attack-${process.pid}`;

  beforeEach(async () => {
    bench = new TestBench("standalone");
    // The folder is world-writable, so that the attack can report.
    open = join(bench.projects, project, "open");
    mkdirSync(open, { recursive: true });
    chmodSync(open, 0o777);
    record = join(open, "record");
  });
  afterEach(() => bench.close());

  const start = async (compose: string, files: Record<string, string> = {}) => {
    bench.project(project, { "compose.yaml": compose, "app.js": APP, ...files });
    server = await bench.server(env);
    return server.call("start_stack", { project, folder: project });
  };
  const environment = (values: Record<string, string>): string => `    environment: ${JSON.stringify(values)}`;
  const uidOf = async (): Promise<number> =>
    (await server.call("list_stacks")).stacks[0].services.app.user.uid as number;

  // Before, in 3 of 3 runs starts and checks ran the library without no_new_privs and outside every cgroup.
  it.runIf(canPreload)(
    "a library of LD_PRELOAD runs only with no_new_privs inside the cgroup, and its processes end",
    async () => {
      const library = join(bench.projects, project, "preload.so");
      writeFileSync(library, preloadLibrary(`${recordTo(record)}; : ${mark}; exec sleep 300 9>&-`), { mode: 0o755 });
      // Each program that the command runs loads the library.
      const compose = appCompose(environment({ LD_PRELOAD: library })).replace(/x-probe: .*/, "");
      await start(compose.replace('["node", "app.js"]', '["/bin/sh", "-c", "/bin/true; exec node app.js"]'));
      const uid = await uidOf();
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
    const evil = `#!/bin/sh\n${recordTo(record)}\nexec "/usr/bin/$(basename "$0")" "$@"\n`;
    const files = Object.fromEntries(
      ["setpriv", "env", "sh", "perl", "bwrap", "nsenter"].map((name) => [`bin/${name}`, evil]),
    );
    const folder = bench.project(project, files);
    for (const name of Object.keys(files)) chmodSync(join(folder, name), 0o755);
    const bin = join(folder, "bin");
    const values = {
      PATH: `${bin}:/usr/bin:/bin`,
      ENV: `${bin}/env`,
      BASH_ENV: `${bin}/env`,
      PERL5OPT: "-d",
      "odd.name": "x",
    };
    await start(appCompose(environment(values)));
    expect(recorded(record)).toEqual([]);
  });

  // Before, a root-only file was open and readable in the service, in 3 of 3 runs.
  it("a service does not inherit the server's file descriptors", async () => {
    const secret = join(bench.folder, "root-only");
    writeFileSync(secret, "for root alone\n", { mode: 0o600 });
    bench.wrapper = ["/bin/bash", "-c", 'exec 7<"$0" 63<"$0" 200<"$0"; exec "$@"', secret];
    const list = `for fd in /proc/self/fd/*; do echo "$fd $(readlink $fd)"; done > ${record}; cat <&7 >> ${record}; exec node app.js`;
    await start(appCompose().replace('["node", "app.js"]', '["/bin/bash", "list.sh"]'), { "list.sh": list });
    const seen = readFileSync(record, "utf8");
    expect(seen).toContain("/proc/self/fd/1 ");
    expect(seen).not.toContain(secret);
    expect(seen).not.toContain("for root alone");
  });

  // Before, the service and the command read the key in 3 of 3 runs.
  it.runIf(hasKeyrings)("services and commands do not read the keys of the server's session", async () => {
    bench.wrapper = withSessionKey;
    const words = ["/bin/sh", "-c", `"$@" > ${record}; exec node app.js`, "sh", ...readSessionKey];
    // Compose replaces variables.
    const command = JSON.stringify(words).replaceAll("$", "$$$$");
    await start(appCompose().replace('["node", "app.js"]', () => command));
    const { stdout } = await server.call("run_command", { project, service: "app", command: [...readSessionKey] });
    expect(readFileSync(record, "utf8") + stdout).toMatch(/^no key: .+\nno key: .+\n$/);
  });

  // Before, all 3,000 processes started in 3 of 3 runs.
  it("a fork bomb without a configured limit ends at the default number of processes", async () => {
    // Each process of the bomb is a small shell, and the service keeps running.
    const bomb = `
require("./app.js");
const script = "n=0; while [ $n -lt 3000 ]; do sleep 300 & n=$((n+1)); done; echo made $n; wait";
const child = require("node:child_process").spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "inherit", "inherit"] });
child.on("exit", () => console.log("bomb refused"));`;
    await start(appCompose().replace("app.js", "bomb.js"), { "bomb.js": bomb });
    const uid = await uidOf();
    const line = await until("the bomb ends", async () => {
      const { lines } = await server.call("get_logs", {
        project,
        grep: "bomb refused|made 3000",
        regex: true,
        tail: 1,
      });
      return lines[0]?.text as string | undefined;
    });
    expect(line).toBe("bomb refused");
    expect(processesOfUid(uid).length).toBeLessThanOrEqual(2048);
    await server.call("stop_stack", { project });
    expect(processesOfUid(uid)).toEqual([]);
  });
});
