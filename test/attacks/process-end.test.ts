/** Processes of a service, an installation or a killed server end with it, also outside its cgroup. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { APP, appCompose, type Server, servicesOf, TestBench, until } from "../e2e/support/bench.js";
import { isRoot, NAMESPACES, processesNaming, processesOfUid, recorded, recordTo } from "./support/processes.js";

const hasNpm = spawnSync("npm", ["--version"], { stdio: "ignore" }).status === 0;
const hasPackedTar = spawnSync("tar", ["--version"], { stdio: "ignore" }).status === 0;

/** A service without a check. */
const service = (command: string, more = ""): string =>
  `services:\n  app:\n    image: node:20\n    x-local:\n      command: [${command}]\n${more}`;

/** A program that leaves its process group and session twice and ignores every signal. */
const DAEMON = (mark: string) => ({
  "compose.yaml": service("/bin/sh, daemon.sh"),
  "daemon.sh": "/usr/bin/setsid /bin/sh stay.sh < /dev/null > /dev/null 2>&1 &\nexec sleep 1000\n",
  "stay.sh": `trap '' HUP TERM INT; (setsid sh -c 'trap "" HUP TERM INT; while :; do sleep 1; : ${mark}; done' &) ; sleep 0.1`,
});

describe.skipIf(!isRoot).each(NAMESPACES)("daemons of a service and a server that runs as root, %s", (_how, env) => {
  let bench: TestBench;
  let server: Server;
  const project = "daemon";
  const mark = `daemon-${process.pid}-${Date.now()}`;

  /** The tests share a server: one of them replaces it, and the last one kills it. */
  const begin = async (): Promise<void> => {
    bench = new TestBench("standalone");
    bench.project(project, DAEMON(mark));
    server = await bench.server({ ...env, STACKWARDEN_REQUIRE_ENFORCED_LIMITS: "true" });
  };
  beforeAll(begin);
  // A retry must not find the stacks of the failed attempt, or a killed server.
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await bench.close().finally(begin);
  });
  afterAll(() => bench.close());

  const uidOf = async (name: string): Promise<number> => (await servicesOf(server, name)).app.user.uid;
  const start = async (): Promise<number> => {
    await server.call("start_stack", { project, folder: project });
    await until("the daemon runs", () => processesNaming(mark).length > 0);
    return uidOf(project);
  };
  /** Moves the daemons out of the service's cgroup, as an escape would. */
  const moveOut = (): void => {
    for (const pid of processesNaming(mark))
      for (const line of readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n")) {
        const [, names = ""] = line.split(":");
        const controller = names.split(",")[0]?.replace("name=", "") ?? "";
        try {
          writeFileSync(join("/sys/fs/cgroup", controller, "cgroup.procs"), String(pid));
        } catch {
          // A process stays in a hierarchy that cannot be written.
        }
      }
  };
  const gone = async (uid: number): Promise<void> => {
    await until("everything of the user ends", () => processesOfUid(uid).length === 0, 20_000);
    expect(processesNaming(mark)).toEqual([]);
  };

  // Before, a process outside the cgroup survived in 3 of 3 runs.
  it("a daemon outside the service's cgroup ends with stop_stack", async () => {
    const uid = await start();
    moveOut();
    await server.call("stop_stack", { project });
    expect(processesOfUid(uid)).toEqual([]);
    expect(processesNaming(mark)).toEqual([]);
  });

  // Before, both servers used the user id 70000 in 3 of 3 runs, and its processes can read each other's environment.
  it("services of two state directories have different users and cannot read each other's environment", async () => {
    const other = new TestBench("standalone");
    try {
      const uid = await start();
      const peek = `const fs = require("node:fs"); const seen = []; for (const pid of fs.readdirSync("/proc")) { if (!/^\\\\d+$/.test(pid) || Number(pid) === process.pid) continue; try { if (fs.readFileSync("/proc/" + pid + "/environ", "latin1").includes("daemon")) seen.push(pid); } catch {} } console.log("peeked", seen.length); require("./app.js");`;
      other.project("peek", {
        "compose.yaml": appCompose().replace("app.js", "peek.js"),
        "app.js": APP,
        "peek.js": peek.replaceAll("\\\\", "\\"),
      });
      const second = await other.server(env);
      await second.call("start_stack", { project: "peek", folder: "peek" });
      const { stacks } = await second.call("list_stacks");
      expect(stacks[0].services.app.user.uid).not.toBe(uid);
      const { lines } = await second.call("get_logs", { project: "peek", grep: "peeked" });
      expect(lines[0].text).toBe("peeked 0");
      await server.call("stop_stack", { project });
    } finally {
      await other.close();
    }
  });

  // Before, the postinstall script ran outside every cgroup, and its child survived, in 3 of 3 runs.
  it.skipIf(!hasNpm || !hasPackedTar)(
    "a child of a postinstall script runs in the service's cgroup and ends with the installation",
    async () => {
      const installing = "installing";
      const open = join(bench.projects, installing, "open");
      mkdirSync(open, { recursive: true, mode: 0o777 });
      spawnSync("chmod", ["777", open]);
      const record = join(open, "record");
      const folder = bench.project(installing, {
        "evil/package.json": JSON.stringify({
          name: "evil",
          version: "1.0.0",
          scripts: { postinstall: "setsid sh leave.sh >/dev/null 2>&1 & sleep 1" },
        }),
        "evil/leave.sh": `${recordTo(record)}\nexec 9>&-\nwhile :; do sleep 1; : ${mark}; done`,
      });
      expect(
        spawnSync("tar", ["-czf", "evil.tgz", "--transform", "s/^evil/package/", "evil"], { cwd: folder }).status,
      ).toBe(0);
      bench.project(installing, {
        "package.json": JSON.stringify({
          name: "app",
          version: "1.0.0",
          dependencies: { evil: `file:${folder}/evil.tgz` },
        }),
        "compose.yaml": service("sleep, '1000'", "      install: { kind: node, manifest: package.json }\n"),
      });
      await server.call("start_stack", { project: installing, folder: installing });
      const uid = await uidOf(installing);
      const [one] = recorded(record);
      expect(one).toMatchObject({ uid, noNewPrivs: true, capabilities: "0000000000000000" });
      expect(one?.cgroups.join("\n")).toContain(`-${installing}-app-run`);
      expect(processesNaming(mark)).toEqual([]);
      expect(readdirSync(open)).toEqual(["record"]);
      await server.call("stop_stack", { project: installing });
    },
  );

  // Before, the daemon survived the next server's sweep in 3 of 3 runs.
  it("a daemon outside the service's cgroup ends with the next server when the watchdog was killed too", async () => {
    const uid = await start();
    moveOut();
    const [watchdog] = processesNaming(join(bench.state, "run", `${server.pid}.json`));
    process.kill(server.pid, "SIGSTOP");
    process.kill(watchdog as number, "SIGKILL");
    server.kill();
    await until("the server ends", () => processesNaming(`${server.pid}.json`).length === 0);
    // With namespaces, the kernel ends every process together with the server.
    if (env.STACKWARDEN_NAMESPACES === "off") expect(processesOfUid(uid).length).toBeGreaterThan(0);
    server = await bench.server(env);
    await server.call("list_stacks");
    bench.project("other", { "compose.yaml": service("sleep, '1000'") });
    await server.call("start_stack", { project: "other", folder: "other" });
    await gone(uid);
  });

  // Before, the daemon survived a killed server in 3 of 3 runs.
  it("a daemon outside the service's cgroup ends when the server is killed", async () => {
    const uid = await start();
    moveOut();
    server.kill();
    await gone(uid);
  });
});
