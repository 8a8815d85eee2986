/** The command line as users and programs use it, on a stack that `up` holds in the foreground. */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../runtimes/contract/bench.js";
import { Commands, type Ran } from "../support/commands.js";
import { APP, appCompose, BINARY, sleepCompose, TestBench, until } from "./support/bench.js";

/** util-linux's `script` provides the terminal. */
const SCRIPT = "/usr/bin/script";

describe("command line", () => {
  const bench = new TestBench();
  const commands = new Commands();
  const withColour = new Commands({ CI: "1" });
  const children: ChildProcess[] = [];
  let folder: string;
  let up: ChildProcess;
  let shown = "";

  const env = () => bench.commandEnvironment();
  const run = (...args: string[]): Promise<Ran> => commands.run(args, { cwd: folder, env: env() });
  const runAlone = (...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      execFile(process.execPath, [BINARY, ...args], { cwd: folder, env: env() }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const json = async (...args: string[]) => JSON.parse((await run(...args, "--json")).stdout);

  beforeAll(async () => {
    folder = bench.project("shop", {
      "compose.yaml": appCompose("    mem_limit: 256m\n    cpus: 1.0\n"),
      "app.js": APP,
    });
  });
  afterAll(async () => {
    for (const child of children) if (child.exitCode === null) child.kill("SIGTERM");
    await commands.close();
    await withColour.close();
    await bench.close();
  });

  it("commands on a stopped stack report it, with exit code 3", async () => {
    expect((await run("ps")).stdout).toContain("No stack is running");
    const health = await run("health");
    expect(health.code).toBe(3);
    expect(health.stdout).toMatch(/app\s+stopped/);
    const logs = await run("logs");
    expect(logs.code).toBe(3);
    expect(logs.stderr).toMatch(/error STACK_NOT_RUNNING: .*\n {2}Start it with/);
    expect((await run("down")).stdout).toContain("was not running");
    const diagnosis = await run("diagnose", "app");
    expect(diagnosis.code).toBe(3);
    expect(diagnosis.stdout).toMatch(/Most likely\n.*was not started.*\n(?:.*\n)?.*next.*: Start it/);
  });

  it("invalid use is refused with exit code 2 and the valid values", async () => {
    expect((await runAlone("frobnicate")).code).toBe(2);
    expect((await run("logs", "--tail", "many")).stderr).toContain("Expected a number");
    const tail = await run("logs", "--tail", "20000");
    expect(tail.code).toBe(2);
    expect(tail.stderr).toContain("1 to 10,000");
    const error = JSON.parse((await run("logs", "--tail", "0", "--json")).stderr);
    expect(error).toMatchObject({ error: { code: "INVALID_INPUT", retryable: false } });
    expect((await run("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await run("--help")).stdout).toContain("doctor");
  });

  it("a command whose output is closed early ends without an error, --help too", async () => {
    for (const args of [["--help"], ["config"]]) {
      const child = spawn(process.execPath, [BINARY, ...args], { cwd: folder, env: env() });
      child.stdout.destroy();
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk;
      });
      const [code] = await once(child, "close");
      expect({ args, code, stderr }).toMatchObject({ code: 0, stderr: expect.not.stringContaining("EPIPE") });
    }
  });

  it("a configuration file is read, and an error in it names the line", async () => {
    const config = join(bench.folder, "settings.yaml");
    writeFileSync(config, "start_timeout_seconds: 77\nengines:\n  big: tcp://127.0.0.1:9\n");
    const fine = await run("ps", "--config", config);
    expect(fine).toMatchObject({ code: 0, stdout: expect.stringContaining("No stack is running") });
    writeFileSync(config, "start_timeout_seconds: 77\nfrobnicate: yes\n");
    const wrong = await run("ps", "--config", config);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("settings.yaml:2");
  });

  it("up starts the stack and shows its logs", async () => {
    up = spawn(process.execPath, [BINARY, "up"], { cwd: folder, env: env() });
    children.push(up);
    bench.pids.push(up.pid as number);
    for (const stream of [up.stdout, up.stderr])
      stream?.on("data", (chunk) => {
        shown += chunk;
      });
    await until("the log of the app", () => shown.includes("| listening on"));
    expect(shown).toMatch(/app\s+healthy/);
    expect(shown).toMatch(/http:\/\/127\.0\.0\.1:\d+/);
  });

  it("other terminals reach the stack that up holds", async () => {
    expect((await run("ps")).stdout).toMatch(/app\s+healthy/);
    expect((await run("health", "--fresh")).code).toBe(0);
    const health = await json("health");
    expect(health).toMatchObject({ project: "shop", overall_healthy: true });
    expect((await run("logs", "app", "-n", "1")).stdout).toMatch(/^app \| listening on \d+\n$/);
    const [line] = (await run("logs", "--grep", "app up", "--json")).stdout.trim().split("\n");
    expect(JSON.parse(line ?? "")).toMatchObject({ service: "app", stream: "stdout", generation: 1 });
    expect((await run("stats")).stdout).toMatch(/app\s+healthy/);
    expect((await run("events", "--type", "service_healthy")).stdout).toContain("app is healthy.");
    const diagnosis = await run("diagnose");
    expect(diagnosis).toMatchObject({ code: 0, stdout: expect.stringContaining("No fault is visible") });
    const again = await run("up");
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("runs already");
    expect(again.stderr).toContain("Stop: stackwarden down.");
    const unknown = await run("up", "-d", "nope");
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("Services: ")]);
  });

  it("logs -f follows the log until Ctrl-C", async () => {
    const follow = spawn(process.execPath, [BINARY, "logs", "-f", "-n", "1"], { cwd: folder, env: env() });
    children.push(follow);
    let seen = "";
    follow.stdout?.on("data", (chunk) => {
      seen += chunk;
    });
    await until("the first line", () => seen.includes("listening"));
    const { stacks } = await json("ps");
    await fetch(`${stacks[0].services.app.endpoints[0].url}/say?text=followed`);
    await until("the new line", () => seen.includes("| followed"));
    follow.kill("SIGINT");
    const [code] = await once(follow, "exit");
    expect(code).toBe(0);
  });

  it.skipIf(!existsSync(SCRIPT))(
    "exec gives the command the user's terminal, restores it, and ends the command with it",
    async () => {
      /** `script` is the terminal in which `line` runs. */
      const open = (line: string) => {
        const terminal = spawn(SCRIPT, ["--quiet", "--return", "--flush", "--command", line, "/dev/null"], {
          cwd: folder,
          env: { ...env(), SHELL: "/bin/sh" },
        });
        children.push(terminal);
        bench.pids.push(terminal.pid as number);
        let text = "";
        terminal.stdout.on("data", (chunk) => {
          text += chunk;
        });
        const shows = (part: string) => until(`the terminal shows ${part}`, () => text.includes(part));
        return { terminal, shows, type: (keys: string) => terminal.stdin.write(keys), text: () => text };
      };
      const command = `'${process.execPath}' '${BINARY}' exec app sh`;
      const one = open(`stty rows 33 columns 99; ${command}; echo after $?; stty -a`);
      one.type("stty size; echo is-$((6 * 7))\r");
      await one.shows("33 99");
      await one.shows("is-42");
      // Ctrl-C ends the command that the shell runs, not the shell.
      one.type("cat\rmeow\r");
      await until("cat has answered", () => one.text().split("meow").length > 2);
      one.type("\u0003");
      await one.shows("^C");
      one.type("echo still-$((6 * 7))\r");
      await one.shows("still-42");
      one.type("exit 7\r");
      await one.shows("after 7");
      await until("the terminal has ended", () => one.terminal.exitCode !== null);
      expect(one.text().split("after 7")[1]).toMatch(/(?<!-)icanon[\s\S]*(?<!-)echo\b/);
      // Input and output of a terminal are not stored.
      expect((await run("logs", "app", "-n", "50")).stdout).not.toContain("is-42");

      const other = open(command);
      other.type("trap '' HUP TERM; sleep 47114711 & echo pid-$!\r");
      await until("the shell has answered", () => /pid-\d/.test(other.text()));
      const commands = () => spawnSync("pgrep", ["-f", "sleep 47114711$"]).stdout.toString().trim();
      const sleeping = commands();
      expect(sleeping).toMatch(/^\d+$/);
      other.terminal.kill("SIGKILL");
      await until("the command's process has ended", () => !existsSync(`/proc/${sleeping}`));
      expect(commands()).toBe("");
      const piped = await run("exec", "--tty", "app", "true");
      expect([piped.code, piped.stderr]).toEqual([2, expect.stringContaining("--tty needs a terminal")]);
    },
  );

  it("exec and run pass environment, standard input and exit code", async () => {
    const ran = await run("exec", "app", "--", "sh", "-c", 'echo "$PORT"; echo e >&2; exit 7');
    expect(ran).toEqual({ code: 7, stdout: expect.stringMatching(/^\d+\n$/), stderr: "e\n" });
    const piped = spawn(process.execPath, [BINARY, "exec", "-i", "app", "cat"], { cwd: folder, env: env() });
    let out = "";
    piped.stdout?.on("data", (chunk) => {
      out += chunk;
    });
    piped.stdin?.end("one\ntwo\n");
    expect(await once(piped, "exit")).toEqual([0, null]);
    expect(out).toBe("one\ntwo\n");
    const late = await run("exec", "--timeout", "1", "app", "sleep", "60");
    expect(late.code).toBe(124);
    expect(late.stderr).toContain("Ended after");
    expect((await run("exec", "app", "no-such-program")).stderr).toContain("error COMMAND_NOT_FOUND");
    const fresh = await run("run", "--json", "--env", "A=b c", "app", "sh", "-c", 'echo "$A"');
    expect(JSON.parse(fresh.stdout)).toMatchObject({ one_off: true, exit_code: 0, stdout: "b c\n" });
  });

  /** Reads the first output of a command and closes the pipe. */
  const glimpse = async (...args: string[]) => {
    const child = spawn(process.execPath, [BINARY, ...args], { cwd: folder, env: env() });
    children.push(child);
    bench.pids.push(child.pid as number);
    const exit = once(child, "exit");
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    await once(child.stdout, "data");
    child.stdout.destroy();
    return { exit, stderr: () => stderr };
  };
  const say = async (text: string) => {
    const { stacks } = await json("ps");
    await fetch(`${stacks[0].services.app.endpoints[0].url}/say?text=${text}`);
  };

  it("logs -f and events -f end when their reader closes the pipe", async () => {
    const following = [await glimpse("logs", "-f", "-n", "1"), await glimpse("events", "-f", "-n", "1")];
    await say("for-nobody");
    // An event that has no reader.
    await run("limits", "app", "--memory", "257");
    for (const { exit, stderr } of following) {
      expect((await exit)[0]).toBe(0);
      expect(stderr()).not.toContain("rror");
    }
  });

  it("restart restarts a service, and limits changes its limits or refuses impossible ones", async () => {
    const restarted = await json("restart", "app");
    expect(restarted).toMatchObject({
      service: "app",
      verified: true,
      before: { generation: 1 },
      after: { generation: 2 },
    });
    expect((await run("restart", "nope")).stderr).toContain("Valid names: app");
    const limited = await run("limits", "app", "--memory", "300");
    expect(limited.code).toBe(0);
    expect(limited.stdout).toMatch(/now:.*memory 300 MB|Nothing enforces/);
    expect(await run("limits", "app")).toMatchObject({ code: 2, stderr: expect.stringContaining("at least one of") });
    expect((await run("limits", "app", "--cpus", "900")).stderr).toContain("LIMIT_REFUSED");
  });

  it("down in another terminal stops the stack and ends up", async () => {
    const exit = once(up, "exit");
    const down = await run("down");
    expect(down).toMatchObject({ code: 0 });
    expect(down.stdout).toContain("The stack is stopped.");
    expect((await exit)[0]).toBe(0);
    expect((await run("logs", "app", "-n", "1")).code).toBe(0);
    expect((await run("ps", "--all")).stdout).toMatch(/shop {2}stopped/);
  });

  describe("a later start", () => {
    let again: ChildProcess;
    let port: number;
    let [lines, said] = ["", ""];
    beforeAll(async () => {
      port = await freePort();
      again = spawn(process.execPath, [BINARY, "up", "--port", `app=${port}`], { cwd: folder, env: env() });
      children.push(again);
      bench.pids.push(again.pid as number);
      again.stdout?.on("data", (chunk) => {
        lines += chunk;
      });
      again.stderr?.on("data", (chunk) => {
        said += chunk;
      });
    });

    it("up shows only lines of the current start", async () => {
      await until("its log", () => lines.includes("| listening on"));
      expect(lines).not.toContain("followed");
    });

    it("Ctrl-C stops the stack of up", async () => {
      await until("it is up", () => said.includes("Ctrl-C"));
      expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
      await fetch(`http://127.0.0.1:${port}/exit?code=3`).catch(() => undefined);
      await until("the crash is reported", () => /app .*code 3/.test(said));
      again.kill("SIGINT");
      expect((await once(again, "exit"))[0]).toBe(0);
    });
  });

  it("Ctrl-C cancels a start in progress", async () => {
    bench.project("slow", { "compose.yaml": sleepCompose("false") });
    const slow = spawn(process.execPath, [BINARY, "up", "--no-logs"], {
      cwd: join(bench.projects, "slow"),
      env: env(),
    });
    children.push(slow);
    bench.pids.push(slow.pid as number);
    let said = "";
    slow.stderr?.on("data", (chunk) => {
      said += chunk;
    });
    await until("the app runs", () => said.includes("app runs"));
    slow.kill("SIGINT");
    expect((await once(slow, "exit"))[0]).toBe(130);
    expect(said).toContain("was cancelled.");
  });

  it("up stops its stack when its output has no reader", async () => {
    const { exit, stderr } = await glimpse("up");
    await until("it is up", () => stderr().includes("Ctrl-C"));
    // `up` may already have ended after its first line.
    await Promise.race([exit, say("for-nobody").catch(() => undefined)]);
    expect((await exit)[0]).toBe(0);
    expect((await run("ps")).stdout).toContain("No stack is running");
  });

  it("piped output has no colours or terminal control sequences, and one id names one folder", async () => {
    const name = `E vil ${String.fromCharCode(0x202e)}`;
    const evil = bench.project(name, { "compose.yaml": sleepCompose() });
    const { NO_COLOR: _none, ...rest } = env();
    const place = { ...rest, CI: "1" };
    const there = (...args: string[]): Promise<Ran> => withColour.run(args, { cwd: evil, env: place });
    const within = (cwd: string, ...args: string[]): Promise<Ran> => commands.run(args, { cwd, env: env() });
    const ran = await there("up", "-d");
    // The project's folder is shown when its name or its root differs from the project's.
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("/E vil") });
    const all = await there("ps", "--json");
    expect(JSON.parse(all.stdout).stacks[0].folder).toBe(evil);
    const refused = await there("up", "-d", "--project", "other", "--folder", join(evil, "absent"));
    expect(refused.code).toBe(2);
    for (const { stdout, stderr } of [ran, all, refused])
      for (const code of [0x1b, 0x202e]) expect(stdout + stderr).not.toContain(String.fromCharCode(code));
    expect(await within(evil, "down", "--volumes")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--yes"),
    });
    expect((await within(evil, "down")).code).toBe(0);
    // Another folder with the same project id is refused.
    const twin = bench.project("twins/Evil", { "compose.yaml": sleepCompose() });
    for (const args of [
      ["up", "-d"],
      ["down", "--volumes", "--yes"],
      ["restart", "app"],
      ["limits", "app", "--pids", "9"],
    ])
      expect(await within(twin, ...args)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("PROJECT_CONFLICT"),
      });
    expect((await within(twin, "down", "--project", "evil")).code).toBe(0);
    expect((await within(evil, "ps", "--project", "missing")).stdout).toContain("Unknown project missing");
    expect((await within(evil, "server", "logs", "-n", "1.5")).code).toBe(2);
  });

  it("down --volumes requires --yes", async () => {
    const refused = await run("down", "--volumes");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("CONFIRMATION_REQUIRED");
    expect((await run("down", "--volumes", "--yes")).code).toBe(0);
  });
});
