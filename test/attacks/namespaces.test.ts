/** What a service can see of the machine where namespaces are available. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findSandboxTools } from "../../src/runtimes/local/process/find-sandbox.js";
import { APP, appCompose, type Server, servicesOf, TestBench, until } from "../e2e/support/bench.js";
import { processesOfUid } from "./support/processes.js";

const sandbox = await findSandboxTools("/usr/bin/setpriv");
const missing = "reason" in sandbox ? sandbox.reason : null;

describe.skipIf(missing !== null)(
  `a service's view of the machine${missing === null ? "" : `: skipped, ${missing}`}`,
  () => {
    let bench: TestBench;
    let server: Server;
    let tests = 0;
    /** Each test has a project. */
    let project = "";
    /** A file that the operator opens to services. */
    const opened = `/etc/stackwarden-bind-${process.pid}.conf`;
    const undo: (() => void)[] = [];

    const begin = async (): Promise<void> => {
      bench = new TestBench("standalone");
      server = await bench.server({ STACKWARDEN_ALLOW_BINDS: opened });
    };
    beforeAll(begin);
    beforeEach(() => {
      tests += 1;
      project = `looker-${tests}`;
    });
    afterEach(async ({ task }) => {
      for (const one of undo.splice(0)) one();
      if (task.result?.state === "fail") await bench.close().finally(begin);
      else await server.call("stop_stack", { project });
    });
    afterAll(() => bench.close());

    const appOf = async () => (await servicesOf(server, project)).app;

    /** Starts a service that runs the script. @returns what the script printed */
    const look = async (script: string, more = ""): Promise<string> => {
      bench.project(project, {
        "compose.yaml": appCompose(more).replace('["node", "app.js"]', '["/bin/sh", "look.sh"]'),
        "look.sh": `{ ${script}; } > "$HOME/seen" 2>&1; exec node app.js`,
        "app.js": APP,
      });
      await server.call("start_stack", { project, folder: project });
      return readFileSync(join(bench.state, "projects", project, "run", "app", "home", "seen"), "utf8");
    };

    // Before, all of it was visible in 3 of 3 runs, and world-readable files could be read.
    it("a service sees no home folders, other projects' data or other temporary files", async () => {
      const home = mkdtempSync("/home/stackwarden-attack-");
      const temporary = mkdtempSync("/tmp/stackwarden-attack-");
      undo.push(
        () => rmSync(home, { recursive: true }),
        () => rmSync(temporary, { recursive: true }),
      );
      for (const folder of [home, temporary]) {
        spawnSync("chmod", ["755", folder]);
        writeFileSync(join(folder, "note"), "of another user\n", { mode: 0o644 });
      }
      const other = join(bench.state, "projects", "other");
      mkdirSync(other, { recursive: true });
      writeFileSync(join(other, "note"), "of another project\n", { mode: 0o644 });
      bench.project("neighbour", { note: "of another project\n" });
      const places = [home, temporary, other, join(bench.projects, "neighbour")];
      const seen = await look(
        `cat ${places.map((one) => join(one, "note")).join(" ")}; ls -A /root /home /tmp; ls ${join(bench.state, "projects")}; ls ${bench.projects}`,
      );
      expect(seen).not.toContain("of another");
      expect(seen).not.toMatch(/^stackwarden-attack/m);
      expect(seen.match(/No such file or directory/g)).toHaveLength(4);
      expect(seen).toMatch(new RegExp(`^${project}$`, "m"));
    });

    // Before, each service saw every process of the machine with its arguments, and all shared memory, in 3 of 3 runs.
    it("a service sees only its own processes and no shared memory of others", async () => {
      const seen = await look(
        'echo pids $(ls /proc | grep -c "^[0-9]"); ls /dev/shm; cat /proc/1/cmdline | tr "\\0" " "',
      );
      expect(Number(/^pids (\d+)$/m.exec(seen)?.[1])).toBeLessThan(8);
      expect(seen).toContain("bwrap");
      expect(seen).not.toContain("stackwarden.js");
    });

    // This held before as well while the processes stayed in the cgroup, where they were killed one by one.
    it("the kernel ends every process of a service with its first one", async () => {
      await look("(setsid sh -c 'while :; do setsid sleep 300 & sleep 0.05; done' &)");
      const { user, pid } = await appOf();
      expect(processesOfUid(user.uid).length).toBeGreaterThan(2);
      process.kill(pid, "SIGKILL");
      await server.call("stop_stack", { project });
      expect(processesOfUid(user.uid)).toEqual([]);
    });

    // Not an attack: before, the start was refused, because the file's folder was replaced.
    it("a file of the machine that allow_binds opens is mounted at its own path", async () => {
      writeFileSync(opened, "of the machine\n", { mode: 0o644 });
      undo.push(() => rmSync(opened));
      const seen = await look(
        `cat ${opened}; grep -c " ${opened} ro," /proc/self/mountinfo`,
        `    volumes: ["${opened}:${opened}:ro"]\n`,
      );
      expect(seen).toBe("of the machine\n1\n");
      expect(JSON.stringify(await appOf())).not.toContain("instead of");
    });

    // Not an attack: checks must work inside the namespaces.
    it("a check command runs in the service's namespaces", async () => {
      bench.project(project, {
        "compose.yaml": appCompose()
          .replace('["node", "app.js"]', '["/bin/sh", "run.sh"]')
          .replace('["CMD", "true"]', () => '["CMD-SHELL", "test -e /tmp/here && kill -0 $$(cat /tmp/here)"]')
          .replace(/x-probe: .*/, ""),
        "run.sh": "echo $$ > /tmp/here; exec node app.js",
        "app.js": APP,
      });
      expect(await server.call("start_stack", { project, folder: project })).toMatchObject({ status: "healthy" });
    });

    // Before, setpriv loaded a library from the volume as root, so that the service's code ran as root in 1 of 1 runs.
    it("a service cannot replace libraries and account files that setpriv reads as root", async () => {
      const targets = [
        "/usr/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu",
        "/usr/lib",
        "/lib64/",
        "/usr/local/lib",
        "/usr/bin",
        "/etc",
        "/etc/ld.so.conf.d",
        "/usr/src/../lib",
        "/run/userdb",
        "/var/run/nscd",
        "/run",
      ];
      const volumes = targets.flatMap((target, at) => [`v${at}:${target}`]).filter((one) => !one.includes(".."));
      const image = "    image: node:20\n    x-local: { command: [/bin/sh, run.sh] }\n";
      bench.project(project, {
        "compose.yaml": [
          `services:\n  filler:\n${image}    volumes: ${JSON.stringify(volumes.map((one) => one.replace(/:.*/, (to) => `:/data${to.slice(1).replaceAll("/", "-")}`)))}`,
          `  app:\n${image}    volumes: ${JSON.stringify(volumes)}\n    tmpfs: [/run/systemd, /lib]`,
          `volumes: { ${volumes.map((one) => `${one.split(":")[0]}: {}`).join(", ")} }`,
        ].join("\n"),
        "run.sh":
          '{ for d in /data-*; do echo x > $d/planted; done; cat /proc/self/mountinfo; find /usr/lib /lib64/ /usr/bin /etc /run -name planted; } > "$HOME/seen" 2>/dev/null; exec sleep 1000',
      });
      await server.call("start_stack", { project, folder: project, services: ["filler"] });
      await until("the volumes to be filled", () =>
        existsSync(join(bench.state, "projects", project, "run/filler/home/seen")),
      );
      await server.call("start_stack", { project, folder: project });
      const file = join(bench.state, "projects", project, "run/app/home/seen");
      const seen = await until("the service's view", () => existsSync(file) && readFileSync(file, "utf8"));
      expect(seen).not.toContain("planted");
      const mounted = seen.split("\n").map((line) => line.split(" ")[4]);
      for (const target of targets) expect(mounted).not.toContain(target.replace(/\/$/, ""));
    });

    // Before, the service read the file in 3 of 3 runs: the parent folder of each entry of PATH was mounted.
    it("a command or PATH in a home folder does not make that folder visible", async () => {
      const home = mkdtempSync("/root/stackwarden-attack-");
      const bin = join(home, "bin");
      undo.push(() => rmSync(home, { recursive: true }));
      mkdirSync(bin);
      spawnSync("chmod", ["755", home, bin]);
      writeFileSync(join(home, "note"), "of another user\n", { mode: 0o644 });
      writeFileSync(join(bin, "run"), "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
      const other = join(bench.state, "projects", "other");
      mkdirSync(join(other, "bin"), { recursive: true });
      writeFileSync(join(other, "note"), "of another project\n", { mode: 0o644 });
      const look = `cat ${home}/note ${other}/note`;
      const service = (command: string[]) =>
        `services:\n  app:\n    image: node:20\n    environment: { PATH: "${bin}:${other}/bin:/usr/bin:/bin" }\n    x-local: { command: ${JSON.stringify(command)} }\n`;
      bench.project(project, {
        "compose.yaml": service(["/bin/sh", "-c", `${look} > "$$HOME/seen" 2>&1; exec sleep 1000`]),
      });
      await server.call("start_stack", { project, folder: project });
      const file = join(bench.state, "projects", project, "run/app/home/seen");
      const seen = await until("the service's view", () => existsSync(file) && readFileSync(file, "utf8"));
      const call = { project, service: "app", shell: true, one_off: true, command: look };
      const command = await server.call("run_command", { ...call, env: { PATH: `${bin}:/usr/bin:/bin` } });
      const program = await server
        .call("run_command", { ...call, shell: false, command: [join(bin, "run")] })
        .catch(String);
      expect(`${seen}${command.stdout}`).not.toContain("of another");
      expect(`${seen}${command.stderr}`.match(/No such file or directory/g)).toHaveLength(4);
      expect(program).toMatchObject({ exit_code: 127 });
    });
  },
);
