/** A server of an ordinary user: its services have the user's id, but not the user's files, programs and rights. */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { appCompose, BINARY, type Server, until } from "../e2e/support/bench.js";
import { asUser, canOpen, noUserNamespaces, OrdinaryUser } from "../e2e/support/ordinary-user.js";
import { processesNaming } from "./support/processes.js";
import { hasKeyrings, readLinkedKey, readSessionKey, withSessionKey, withUserKey } from "./support/session-keyring.js";

const UID = 12_345;
const VOLUME = "    volumes: ['kept:/srv/kept']\nvolumes: { kept: {} }\n";
const missing = noUserNamespaces(UID);

describe.skipIf(missing !== null)(
  `services of an ordinary user${missing === null ? "" : `: skipped, ${missing}`}`,
  () => {
    let user: OrdinaryUser;
    let server: Server;

    const homeOf = (project: string, service = "app"): string =>
      join(user.state, "projects", project, "run", service, "home");
    const appOf = async (project: string) => {
      const { stacks } = await server.call("list_stacks");
      return stacks.find((one: { project: string }) => one.project === project).services.app;
    };

    /** The service is healthy when the script has ended. */
    const lookers = (script: string, more: string): Record<string, string> => ({
      "compose.yaml": `services:
  app:
    image: busybox
    healthcheck: { test: [CMD-SHELL, 'test -e "$$HOME/end"'], interval: 300ms, start_period: 20s, start_interval: 100ms }
    x-local: { command: [/bin/sh, look.sh] }
${more}`,
      "look.sh": `{ ${script}; } > "$HOME/seen" 2>&1; : > "$HOME/end"; exec sleep 1000`,
    });

    /** Runs the script in a service. @returns what it printed */
    const look = async (
      script: string,
      { project, more = "", place = project }: { project: string; more?: string; place?: string },
    ): Promise<string> => {
      const folder = user.project(place, lookers(script, more));
      expect(await server.call("start_stack", { project, folder })).toMatchObject({ status: "healthy" });
      return readFileSync(join(homeOf(project), "seen"), "utf8");
    };

    describe("on a shared server", () => {
      const begin = async (): Promise<void> => {
        user = new OrdinaryUser(UID);
        if (hasKeyrings) user.bench.wrapper = [...asUser(UID), ...withUserKey, ...withSessionKey];
        server = await user.server();
      };
      beforeAll(begin);
      // A retry must not find the projects and files of the failed attempt, or a killed server.
      afterEach(async ({ task }) => {
        if (task.result?.state === "fail") await user.bench.close().finally(begin);
      });
      afterAll(() => user.bench.close());

      // The first test, because the key expires.
      // Before, the service and the command read the key in 2 of 2 runs: the kernel allows a user to link its keyrings
      // by number.
      it.runIf(hasKeyrings)("do not read the keys of the user's own keyring", async () => {
        const project = "linked-keys";
        const words = readLinkedKey.map((one) => `'${one}'`).join(" ");
        const seen = await look(words, { project });
        const command = [...readLinkedKey];
        const { stdout } = await server.call("run_command", { project, service: "app", command });
        expect(seen + stdout).toMatch(/^no key: .+\nno key: .+\n$/);
        // The user itself can do so.
        const [program = "", ...rest] = [...asUser(UID), ...readLinkedKey];
        expect(spawnSync(program, rest, { encoding: "utf8" }).stdout).toMatch(/^a key/);
      });

      it.skipIf(!existsSync("/usr/bin/pasta") || !canOpen(UID, "/dev/net/tun"))(
        "have a network for each stack: the same ports in the code of two projects do not meet",
        async () => {
          const addresses: string[] = [];
          for (const name of ["first", "second"]) {
            const folder = user.project(name, {
              "compose.yaml": appCompose("", "").replace("8080]", "80]").replaceAll("8080", "80"),
              "app.js": `require("http").createServer((_, response) => response.end("${name}")).listen(80, "0.0.0.0");`,
            });
            const started = await server.call("start_stack", { project: name, folder });
            expect(started).toMatchObject({ status: "healthy" });
            addresses.push(started.after.services.app.endpoints[0].url);
          }
          const answers = await Promise.all(addresses.map(async (url) => (await fetch(url)).text()));
          expect(answers).toEqual(["first", "second"]);
          const command = ["node", "-e", "fetch('http://app:80').then((a) => a.text()).then(console.log)"];
          const { stdout } = await server.call("run_command", { project: "second", service: "app", command });
          expect(stdout).toContain("second");
        },
      );

      // Before, all of it was readable in 3 of 3 runs, and the service could add a key to ~/.ssh/authorized_keys.
      it("have neither the user's keys nor other projects, and change nothing outside of their project", async () => {
        const project = "looker";
        user.file(".ssh/id_ed25519", "of the user\n", 0o600);
        user.file(".config/gh/hosts.yml", "of the user\n", 0o600);
        user.project("neighbour", { ".env": "of another project\n" });
        user.file(".local/state/stackwarden/projects/neighbour/secrets.json", "of another project\n", 0o600);
        const shared = `/opt/stackwarden-user-${process.pid}`;
        mkdirSync(shared);
        spawnSync("chown", [String(UID), shared]);
        user.bench.undo.push(() => rmSync(shared, { recursive: true, force: true }));
        const files = [".ssh/id_ed25519", ".config/gh/hosts.yml", "projects/neighbour/.env"];
        const state = join(user.state, "projects");
        const seen = await look(
          [
            `cat ${files.map((one) => join(user.home, one)).join(" ")} ${state}/neighbour/secrets.json ${state}/${project}/secrets.json`,
            `ls -A ${user.home} ${user.state} /run`,
            `touch ${shared}/made made; echo "made $?"`,
            `mkdir -p ${user.home}/.ssh; echo key > ${user.home}/.ssh/authorized_keys`,
            // No mount can be taken away to see what is below it.
            `unshare --user --map-root-user --mount sh -c 'umount -l /home; umount -l ${user.home}; cat ${user.home}/.ssh/id_ed25519'`,
            "grep -E '^(Uid|Cap(Prm|Eff)|NoNewPrivs)' /proc/self/status",
          ].join("; "),
          { project },
        );
        expect(seen).not.toContain("of the user");
        expect(seen).not.toContain("of another project");
        expect(seen).toMatch(/made.*Read-only file system/);
        expect(existsSync(join(shared, "made"))).toBe(false);
        expect(existsSync(join(user.home, ".ssh/authorized_keys"))).toBe(false);
        // Files in the project stay the user's.
        expect(statSync(join(user.home, "projects", project, "made")).uid).toBe(UID);
        expect(seen).toMatch(new RegExp(`^Uid:\\s+${UID}\\s+${UID}\\s`, "m"));
        expect(seen.match(/^Cap(Prm|Eff):\s+0+$/gm)).toHaveLength(2);
        expect(seen).toMatch(/^NoNewPrivs:\s+1$/m);
      });

      // Before, the service read the key in 3 of 3 runs.
      it.runIf(hasKeyrings)("do not read the keys of the user's session", async () => {
        const words = readSessionKey.map((one) => `'${one}'`).join(" ");
        expect(await look(words, { project: "keys" })).toMatch(/^no key: .+\n$/);
      });

      const git = (cwd: string, ...args: string[]) => {
        const author = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        const [command = "", ...words] = [...asUser(UID), "/usr/bin/git", "-C", cwd, ...author, ...args];
        const { status, stderr } = spawnSync(command, words, { env: { HOME: user.home }, encoding: "utf8" });
        expect(status, stderr).toBe(0);
      };

      it.skipIf(!existsSync("/usr/bin/git"))(
        "read the repository of a linked work tree, and cannot write to it",
        async () => {
          const project = "linked";
          const main = user.project("main", { file: "" });
          git(main, "init", "-q");
          git(main, "commit", "-q", "--allow-empty", "-m", "first");
          git(main, "worktree", "add", "-q", "-b", project, join(user.home, "projects", project));
          const seen = await look(`git log --format=%s; ls -A ${main}; touch ${main}/.git/made`, { project });
          expect(seen).toMatch(/^first\n\.git\n.*Read-only file system/);
        },
      );

      // Before, the repository covered the project's folder: it was read-only.
      it.skipIf(!existsSync("/usr/bin/git"))(
        "write to a work tree inside of its bare repository, and do not see the other ones",
        async () => {
          const project = "inner";
          const main = user.project("source", { file: "" });
          const bare = join(user.home, "projects/shop.git");
          git(main, "init", "-q");
          git(main, "commit", "-q", "--allow-empty", "-m", "first");
          git(main, "clone", "-q", "--bare", main, bare);
          for (const name of [project, "pay"]) git(bare, "worktree", "add", "-q", "-b", name, join(bare, name));
          user.file("projects/shop.git/pay/.env", "of another project\n");
          const script = `touch made; ls made; ls -A ..; cat ../pay/.env`;
          const seen = await look(script, { project, place: `shop.git/${project}` });
          expect(seen).toMatch(new RegExp(`^made\n${project}\n.*pay/.env.*No such file`));
          expect(statSync(join(bare, project, "made")).uid).toBe(UID);
        },
      );

      // Before, they ran on in 3 of 3 runs when there was no cgroup.
      it("keep nothing running: what left its session and its parent ends with the service", async () => {
        const project = "daemons";
        const mark = `4711${process.pid}`;
        await look(`(setsid sh -c 'while :; do setsid sleep ${mark} & sleep 0.2; done' &)`, { project });
        const { pid } = await appOf(project);
        await until("processes of the service", () => processesNaming(mark).length > 3);
        const { services } = await server.call("get_stats", { project });
        expect(services.app.stats.pids).toBeGreaterThan(3);
        process.kill(pid, "SIGKILL");
        await server.call("stop_stack", { project });
        expect(processesNaming(mark)).toEqual([]);
      });

      it("have commands in their namespaces, and a volume at its own path", async () => {
        const project = "commands";
        await look("true", { project, more: VOLUME });
        const command =
          "echo here > /srv/kept/file; echo first $(cat /proc/1/comm) of $(ls /proc | grep -c '^[0-9]'); id -u; tail -n 1 /etc/hosts";
        const { stdout } = await server.call("run_command", {
          project,
          service: "app",
          command: ["sh", "-c", command],
        });
        expect(stdout).toMatch(/first bwrap of \d\b/);
        expect(stdout).toContain(String(UID));
        const file = join(user.state, "projects", project, "volumes/kept/data/file");
        expect(statSync(file).uid).toBe(UID);
        expect(await server.call("stop_stack", { project })).toMatchObject({ verified: true });
      });

      it("cannot be given the user's files by a service that replaces a volume", async () => {
        const project = "replaced";
        user.file(".ssh/id_ed25519", "of the user\n", 0o600);
        const volumes = join(user.state, "projects", project, "volumes");
        await look(`mv ${volumes}/kept/data ${volumes}/kept/away; ln -s ${user.home}/.ssh ${volumes}/kept/data`, {
          project,
          more: VOLUME,
        });
        await server.call("stop_stack", { project });
        expect(lstatSync(join(volumes, "kept/data")).isSymbolicLink()).toBe(true);
        user.project(project, { "look.sh": 'cat /srv/kept/* > "$HOME/seen"; exec sleep 1000' });
        expect(await server.refused("start_stack", { project })).toMatchObject({ code: "STORAGE_FAILED" });
        const seen = join(homeOf(project), "seen");
        expect(existsSync(seen) ? readFileSync(seen, "utf8") : "").not.toContain("of the user");
      });

      // The last test of the server.
      // Before, they ran on in 3 of 3 runs.
      it("end with a killed server", async () => {
        const mark = `4712${process.pid}`;
        await look(`(setsid sleep ${mark} &)`, { project: "killed" });
        await until("the process of the service", () => processesNaming(mark).length > 0);
        server.kill();
        await until("the end of the service", () => processesNaming(mark).length === 0);
      });
    });

    describe("on a separate server", () => {
      beforeEach(() => {
        user = new OrdinaryUser(UID);
      });
      afterEach(() => user.bench.close());

      it("run the user's own toolchains, and have what the operator opens", async () => {
        const project = "toolchains";
        const node = (version: string) =>
          `#!/bin/sh\n[ "$1" = --version ] && { echo v${version}; exit; }\necho runs ${version} >> "$HOME/which"\nexec ${process.execPath} "$@"\n`;
        user.file(".nvm/versions/node/v22.3.0/bin/node", node("22.3.0"), 0o755);
        user.file(".local/share/fnm/node-versions/v18.2.0/installation/bin/node", node("18.2.0"), 0o755);
        user.link(".local/bin/node", "../share/fnm/node-versions/v18.2.0/installation/bin/node");
        user.file("data/file", "opened\n");
        user.file(".aws/config", "of the user\n");
        const service = (name: string, more = "") =>
          `  ${name}:\n    image: node:${name === "nvm" ? "22" : "18"}\n    working_dir: /app\n    volumes: [".:/app"${more}]\n    command: node app.js\n`;
        const folder = user.project(project, {
          "compose.yaml": `services:\n${service("nvm", `, "${user.home}/data:/data"`)}    environment: { AWS_CONFIG_FILE: ${user.home}/.aws/config }\n${service("link")}`,
          "app.js": `const fs = require("fs"); const read = (path) => { try { return fs.readFileSync(path, "utf8") } catch (error) { return error.code } };
            fs.writeFileSync(process.env.HOME + "/seen", [read("/data/file"), read("${user.home}/.aws/config")].join(" ")); setInterval(() => {}, 1e6);`,
        });
        server = await user.server({
          PATH: `${user.home}/.local/bin:/usr/bin:/bin`,
          STACKWARDEN_ALLOW_BINDS: join(user.home, "data"),
        });
        const { after } = await server.call("start_stack", { project, folder });
        for (const service of ["nvm", "link"])
          await until(`the view of ${service}`, () => existsSync(join(homeOf(project, service), "seen")));
        expect(readFileSync(join(homeOf(project, "nvm"), "which"), "utf8")).toContain("22.3.0");
        expect(readFileSync(join(homeOf(project, "link"), "which"), "utf8")).toContain("18.2.0");
        expect(readFileSync(join(homeOf(project, "nvm"), "seen"), "utf8")).toBe("opened\n ENOENT");
        expect(after.services.nvm.notes.join("\n")).toContain(`does not see ${user.home}/.aws/config`);
      });

      it("run as before where the user may not have user namespaces, and the reports say why", async () => {
        // In a changed root directory, the kernel refuses them.
        const root = join(user.bench.folder, "root");
        mkdirSync(root);
        const change = `mount --rbind / "$0" && exec /usr/sbin/chroot "$0" "$@"`;
        user.bench.wrapper = ["unshare", "--mount", "--", "/bin/sh", "-c", change, root, ...user.bench.wrapper];
        server = await user.server();
        const seen = await look(`ls -A ${user.home}`, { project: "changed" });
        expect(seen).toContain(".local");
        const [command = "", ...args] = [
          ...user.bench.wrapper,
          process.execPath,
          BINARY,
          "doctor",
          "--runtime",
          "local",
        ];
        const env = { ...user.bench.environment(), ...user.environment() };
        const { stdout } = spawnSync(command, args, { env, encoding: "utf8", cwd: "/" });
        expect(stdout).toMatch(/no separate namespaces: this user cannot make user namespaces: .*not permitted/);
        expect(stdout).toMatch(/file system\s+none Services see the machine's file system with the rights of the user/);
      });
    });
  },
);
