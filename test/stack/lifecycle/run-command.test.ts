/** run_command on a scripted runtime. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getLogs } from "../../../src/operations/get-logs.js";
import type { ExecRequest } from "../../../src/stack/runtime.js";
import { call, Domain, eventsOf, until } from "../../support/domain.js";

const SHOP = `
services:
  db:
    image: shop-db
    environment: { SECRET_KEY: "very-secret-value-1" }
  web:
    image: shop-web
    depends_on: [db]
    ports: ["8080:80"]
    x-commands:
      migrate: ["npm", "run", "migrate"]
      test: npm test -- --all
`;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
  domain.project("shop", SHOP);
});
afterEach(() => domain.close());

const prints =
  (...chunks: (string | Buffer)[]) =>
  async ({ onOutput }: ExecRequest) => {
    for (const chunk of chunks) await onOutput("stdout", Buffer.from(chunk as string));
    return {};
  };

/** Ends only when it is cancelled. */
const endless = ({ signal }: ExecRequest): Promise<{ exitCode: null; signal: string }> =>
  new Promise((resolve) => {
    const end = (): void => resolve({ exitCode: null, signal: "SIGKILL" });
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });

const ask = (fields: object = {}) => ({
  project: "shop",
  service: "web",
  command: ["npm", "test"] as string[] | string,
  timeoutMs: 5000,
  maxBytes: 16_000,
  ...fields,
});

describe("run_command", () => {
  it("run_command runs in the running instance and returns its output and exit code", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = {
      exec: async ({ onOutput, command, environment, workdir, stdin }) => {
        await onOutput("stdout", Buffer.from(`${command.join(" ")} ${environment?.A} ${workdir} ${stdin}`));
        await onOutput("stderr", Buffer.from("wrong\n"));
        return { exitCode: 3 };
      },
    };
    const outcome = await manager.runCommand(ask({ environment: { A: "1" }, workdir: "/app", stdin: "in" }), call());
    expect(outcome).toMatchObject({
      exit_code: 3,
      signal: null,
      timed_out: false,
      one_off: false,
      stdout: "npm test 1 /app in",
      stderr: "wrong\n",
      omitted: null,
    });
    expect(domain.runtime.calls).toContain("exec web npm test");
  });

  it("run_command adds marked lines to the service's log, and events with the actor", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    // The last line of the output may have no line break.
    domain.runtime.scripts.web = { exec: prints("one\ntwo") };
    await manager.runCommand(ask(), call({ actor: "agent/1" }));
    const { lines } = await manager.logs({ project: "shop", query: { services: ["web"], grep: "[command " } });
    const texts = lines.map(({ text }) => text.replace(/^\[command [0-9a-f]{4}\] /, ""));
    expect(texts).toEqual(["$ npm test", "one", "two", expect.stringContaining("Exit code 0")]);
    const events = await eventsOf(manager, "shop", "command_started", "command_ended");
    expect(events.map(({ actor, service }) => [actor, service])).toEqual([
      ["agent/1", "web"],
      ["agent/1", "web"],
    ]);
  });

  it("the last lines of a crashed service are its own, not those of a command that ran in it", async () => {
    const manager = domain.manager();
    domain.runtime.scripts.web = { prints: "listening", exec: prints("migrated\n") };
    await manager.start({ project: "shop" }, call());
    await manager.runCommand(ask(), call());
    domain.runtime.service("web").end({ exitCode: 1 });
    await until("it crashed", async () => (await eventsOf(manager, "shop", "service_crashed")).length === 1);
    const [crash] = await eventsOf(manager, "shop", "service_crashed");
    expect(crash?.data?.last_lines).toEqual(["listening"]);
  });

  it("run_command redacts secrets and removes control characters, also from binary output", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    const binary = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    domain.runtime.scripts.web = { exec: prints("key very-secr", "et-value-1\n\u001b[31mred\u001b[0m\n", binary) };
    const { stdout } = await manager.runCommand(ask(), call());
    expect(stdout).not.toContain("very-secret-value-1");
    expect(stdout).toContain("red");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this matches.
    expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  });

  it("run_command returns the first and last bytes of long output, and how to read the rest", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = {
      exec: prints("first\n", ...Array.from({ length: 50 }, () => `${"x".repeat(99)}\n`.repeat(1000)), "last\n"),
    };
    const { stdout, stderr, omitted } = await manager.runCommand(ask({ maxBytes: 4000 }), call());
    expect(stdout.startsWith("first\n")).toBe(true);
    expect(stdout.endsWith("last\n")).toBe(true);
    expect(Buffer.byteLength(stdout) + Buffer.byteLength(stderr)).toBeLessThan(4200);
    expect(omitted?.stdout_bytes).toBeGreaterThan(4_990_000);
    expect(omitted?.how_to_get).toMatch(/^get_logs \{.*"grep": "\[command [0-9a-f]{4}\]"/);
  });

  it("the call that run_command suggests returns every line of the output", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    const numbers = Array.from({ length: 3000 }, (_, n) => `${n}`);
    domain.runtime.scripts.web = { exec: prints(`${numbers.join("\n")}\n`) };
    const { omitted } = await manager.runCommand(ask({ maxBytes: 1000 }), call());
    const suggested = JSON.parse(/\{.*\}/.exec(omitted?.how_to_get ?? "")?.[0] ?? "");
    const lines: string[] = [];
    let { cursor } = suggested;
    for (let more = true; more; ) {
      const answer = await getLogs.run(getLogs.input.parse({ ...suggested, cursor }), { manager } as never);
      const brief = getLogs.brief?.of(answer) as { lines: string[] };
      lines.push(...brief.lines);
      cursor = answer.next_cursor;
      more = answer.omitted !== null;
    }
    const printed = lines.map((line) => line.replace(/^.*\[command [0-9a-f]{4}\] /, ""));
    expect(printed.slice(1, -1)).toEqual(numbers);
  });

  it("run_command cuts a long line without showing part of a secret", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = { exec: prints("a".repeat(65_526), "very-secret-value-1", "b".repeat(200_000)) };
    const { stdout } = await manager.runCommand(ask({ maxBytes: 200_000 }), call());
    expect(stdout).toContain("line of 265545 bytes cut");
    expect(stdout).not.toContain("very-secr");
  });

  it("run_command ends a command at its time limit and reports it without an error", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = { exec: endless };
    const outcome = await manager.runCommand(ask({ timeoutMs: 20 }), call());
    expect(outcome).toMatchObject({ timed_out: true, exit_code: null, signal: "SIGKILL" });
    expect(outcome.message).toContain("timeout_seconds");
  });

  it("run_command fails with OPERATION_CANCELLED when its caller cancels, and the hint names the log", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = { exec: endless };
    const leave = new AbortController();
    const ended = manager.runCommand(ask(), call({ signal: leave.signal }));
    await until("it runs", () => domain.runtime.calls.includes("exec web npm test"));
    leave.abort();
    await expect(ended).rejects.toMatchObject({
      code: "OPERATION_CANCELLED",
      hint: expect.stringContaining("get_logs"),
    });
  });

  it("run_command splits text without a shell, and uses a shell only on request", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    await manager.runCommand(ask({ command: `echo "a b" $(id) rm 'x y'` }), call());
    expect(domain.runtime.calls).toContain("exec web echo a b $(id) rm x y");
    // As in a POSIX shell, a backslash in double quotes stays before an ordinary character.
    await manager.runCommand(ask({ command: String.raw`psql -c "\d items" "say \"hi\"" a\ b` }), call());
    expect(domain.runtime.calls).toContain(String.raw`exec web psql -c \d items say "hi" a b`);
    for (const command of ["cd x && npm test", "echo a ; rm x", "a | b", "a > b"])
      await expect(manager.runCommand(ask({ command }), call())).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("shell operator"),
      });
    for (const command of ["echo $PORT", `echo "port \${PORT}"`, "ls *.js", "ls ~", "ls ~/x"])
      await expect(manager.runCommand(ask({ command }), call())).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("only a shell replaces"),
        hint: expect.stringContaining("shell: true"),
      });
    // Quoted or escaped, a shell does not replace them either.
    await manager.runCommand(ask({ command: String.raw`psql -c "select * from a~b" '$1' \$x a~ 5$` }), call());
    expect(domain.runtime.calls).toContain("exec web psql -c select * from a~b $1 $x a~ 5$");
    await manager.runCommand(ask({ command: ["echo", "$PORT", "*"] }), call());
    expect(domain.runtime.calls).toContain("exec web echo $PORT *");
    await manager.runCommand(ask({ command: "echo $HOME", shell: true }), call());
    expect(domain.runtime.calls).toContain("exec web /bin/sh -c echo $HOME");
    for (const [command, shell] of [
      ['echo "open', false],
      ["  ", false],
      [["echo"], true],
    ] as const)
      await expect(manager.runCommand(ask({ command, shell }), call())).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("command"),
      });
  });

  it("run_command runs declared commands by name, and reports list them", async () => {
    const manager = domain.manager();
    expect((await manager.report("shop")).services.web?.commands).toEqual(["migrate", "test"]);
    await manager.start({ project: "shop" }, call());
    expect((await manager.report("shop")).services.web?.commands).toEqual(["migrate", "test"]);
    await manager.runCommand(ask({ command: "test" }), call());
    expect(domain.runtime.calls).toContain("exec web npm test -- --all");
  });

  it("run_command with commands: declared refuses other commands, and with off all of them", async () => {
    const manager = domain.manager({ commands: "declared" });
    await manager.start({ project: "shop" }, call());
    await manager.runCommand(ask({ command: "migrate" }), call());
    await manager.runCommand(ask({ command: ["npm", "run", "migrate"] }), call());
    for (const fields of [{ command: ["npm", "run", "other"] }, { command: "migrate", shell: true }])
      await expect(manager.runCommand(ask(fields), call())).rejects.toMatchObject({
        code: "COMMAND_NOT_ALLOWED",
        details: { declared: ["migrate", "test"] },
      });
    await expect(manager.runCommand(ask({ service: "db" }), call())).rejects.toMatchObject({
      code: "COMMAND_NOT_ALLOWED",
    });
    const off = domain.manager({ commands: "off", stateDir: `${domain.state}-off` });
    await expect(off.runCommand(ask({ command: "migrate" }), call())).rejects.toMatchObject({
      code: "COMMAND_NOT_ALLOWED",
    });
  });

  it("run_command uses a one-off instance on request, or when the service does not run", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    expect(await manager.runCommand(ask({ oneOff: true }), call())).toMatchObject({ one_off: true, exit_code: 0 });
    domain.runtime.service("web").end({ exitCode: 1 });
    await until("web crashed", async () => (await manager.report("shop")).services.web?.state === "crashed");
    expect(await manager.runCommand(ask(), call())).toMatchObject({ one_off: true });
    domain.runtime.scripts.web = { exec: async () => ({ exitCode: 2 }) };
    const { message } = await manager.runCommand(ask(), call());
    expect(message).toMatch(/^Exit code 2 .*web does not run; the command ran in a fresh instance of it\.$/);
    expect(domain.runtime.calls.filter((one) => one.startsWith("one-off"))).toHaveLength(3);
  });

  it("run_command in a stopped stack opens a temporary one and leaves nothing running", async () => {
    const manager = domain.manager();
    domain.runtime.scripts.web = { exec: prints("done\n") };
    expect(await manager.runCommand(ask(), call())).toMatchObject({ one_off: true, stdout: "done\n" });
    expect(domain.runtime.started()).toEqual([]);
    domain.runtime.scripts.web = { exec: async () => ({ exitCode: 2 }) };
    expect((await manager.runCommand(ask(), call())).message).toContain(
      "dependencies: true starts only what it depends on",
    );
    await manager.runCommand(ask({ dependencies: true }), call());
    expect(domain.runtime.started()).toEqual(["db"]);
    expect(domain.runtime.alive.size).toBe(0);
    expect(domain.runtime.stacks.every(({ closed }) => closed)).toBe(true);
    // A one-off instance publishes no port.
    expect(domain.runtime.stacks.at(-1)?.request.definition.services.web?.ports).toEqual([]);
    expect((await manager.report("shop")).state).toBe("stopped");
    // The project's lock is released.
    expect((await manager.start({ project: "shop" }, call())).status).toBe("running");
  });

  it("a start waits for run_command in a stopped stack, and a stop ends the command", async () => {
    const manager = domain.manager();
    domain.runtime.scripts.web = { exec: endless };
    const running = manager.runCommand(ask({ timeoutMs: 60_000 }), call());
    await until("it runs", () => domain.runtime.calls.includes("one-off web npm test"));
    const start = manager.start({ project: "shop" }, call());
    expect(domain.runtime.started()).toEqual([]);
    await manager.stop({ project: "shop" }, call());
    await expect(running).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    expect((await start).status).toBe("running");
  });

  it("run_command refuses an unknown service with the valid names", async () => {
    const manager = domain.manager();
    const unknown = { code: "UNKNOWN_SERVICE", details: { valid: ["db", "web"] } };
    await expect(manager.runCommand(ask({ service: "nope" }), call())).rejects.toMatchObject(unknown);
    await manager.start({ project: "shop" }, call());
    await expect(manager.runCommand(ask({ service: "nope" }), call())).rejects.toMatchObject(unknown);
  });

  it("run_command refuses a 17th concurrent command", async () => {
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    domain.runtime.scripts.web = { exec: endless };
    const leave = new AbortController();
    const all = Array.from({ length: 16 }, () => manager.runCommand(ask(), call({ signal: leave.signal })));
    for (const one of all) one.catch(() => undefined);
    await expect(manager.runCommand(ask(), call())).rejects.toMatchObject({ code: "TOO_MANY_REQUESTS" });
    leave.abort();
    await Promise.allSettled(all);
    domain.runtime.scripts.web = {};
    expect(await manager.runCommand(ask(), call())).toMatchObject({ exit_code: 0 });
  });

  describe("a service that does not belong to the stack", () => {
    const TOOLS = `${SHOP}
  migrate:
    image: shop-migrate
    profiles: [tools]
    depends_on: [db]
    environment: { KEY: "very-secret-value-2", API_TOKEN: "very-secret-value-3" }
    volumes: ["data:/data"]
    secrets: [extra]
    x-commands: { up: [migrate, up] }
volumes: { data: {} }
secrets: { extra: { environment: EXTRA } }
`;
    const outcome = { one_off: true, exit_code: 0, service: "migrate" };
    beforeEach(() => {
      const folder = domain.project("shop", TOOLS);
      writeFileSync(join(folder, ".env"), "EXTRA=very-secret-value-4\n");
      domain.runtime.scripts.migrate = { exec: prints("migrated with very-secret-value-3 very-secret-value-4\n") };
    });

    it.each([
      ["while the stack runs", { project: "shop" }],
      ["while a part of the stack runs", { project: "shop", services: ["db"] }],
      ["after a call excluded it", { project: "shop", without: ["migrate"] }],
      ["while no stack runs", null],
    ])("a command in a service of an inactive profile runs %s", async (_when, start) => {
      const manager = domain.manager();
      if (start !== null) await manager.start(start, call());
      const starts = [...domain.runtime.started()];
      const named = await manager.runCommand(ask({ service: "migrate", command: "up" }), call());
      expect(named).toMatchObject({ ...outcome, stdout: "migrated with [redacted] [redacted]\n" });
      expect(domain.runtime.calls).toContain("one-off migrate migrate up");
      expect(domain.runtime.started()).toEqual(starts);
      // The service does not become a part of the stack.
      expect(Object.keys((await manager.report("shop")).services)).not.toContain("migrate");
    });

    it("a command in a service that a call stopped runs beside the others, and its dependencies run for it when asked", async () => {
      const manager = domain.manager();
      await manager.start({ project: "shop" }, call());
      await manager.stop({ project: "shop", services: ["web"] }, call());
      domain.runtime.scripts.web = { exec: async () => ({ exitCode: 2 }) };
      const failed = await manager.runCommand(ask(), call());
      expect(failed).toMatchObject({ one_off: true, exit_code: 2 });
      expect(failed.message).toContain("web does not run; the command ran in a fresh instance of it.");
      await manager.stop({ project: "shop" }, call());
      const request = ask({ service: "migrate", command: ["x"], dependencies: true });
      expect(await manager.runCommand(request, call())).toMatchObject(outcome);
      expect(domain.runtime.started().at(-1)).toBe("db");
    });

    it("an unknown service is refused with the names of all services", async () => {
      const manager = domain.manager();
      const refused = {
        code: "UNKNOWN_SERVICE",
        message: 'The stack has no service "nope".',
        hint: "Valid names: db, web, migrate.",
      };
      await expect(manager.runCommand(ask({ service: "nope" }), call())).rejects.toMatchObject(refused);
      await manager.start({ project: "shop" }, call());
      await expect(manager.runCommand(ask({ service: "nope" }), call())).rejects.toMatchObject(refused);
    });
  });
});
