/** The entry script under the shells of common images, with a simulated cgroup directory. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EntryLines } from "../../../../src/runtimes/dagger/entry/entry-lines.js";
import { ENTRY_SCRIPT, entryArgs } from "../../../../src/runtimes/dagger/entry/entry-script.js";
import { SecretArgs } from "../../../../src/runtimes/dagger/entry/secret-args.js";
import type { EntryMessage, EntryOptions } from "../../../../src/runtimes/dagger/entry/types.js";

const TOKEN = "t0kenT0kenT0ken1";
const succeeds = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: "ignore" }).status === 0;
const nnp = succeeds("setpriv", "--no-new-privs", "true");
/** The script re-executes under /bin/sh when it drops privileges. Dropping them before keeps it under this shell. */
const before = nnp ? ["setpriv", "--no-new-privs"] : [];
const SHELLS = [
  ["sh", ["sh"]],
  ["dash", [...before, "dash"]],
  ["bash", [...before, "bash"]],
  ["busybox ash", [...before, "busybox", "sh"]],
] as const;

const OPTIONS: EntryOptions = { token: TOKEN, limits: {}, waitSeconds: 20, stopSignal: "SIGTERM", command: ["true"] };
const LIMITS = { cpus: 0.5, memory_mb: 512, pids: 100 };
const V2 = {
  "cgroup.controllers": "cpu memory pids",
  "memory.max": "536870912",
  "cpu.max": "50000 100000",
  "pids.max": "100",
};
const V1 = {
  "memory/memory.limit_in_bytes": "536870912",
  "cpu/cpu.cfs_quota_us": "50000",
  "cpu/cpu.cfs_period_us": "100000",
  "pids/pids.max": "100",
};

/** Shell text that prints each of its words and a mark; a control character, because words contain all others. */
const MARK = "\u0001";
const PRINT_WORDS = `printf '%s\\001' "$@"`;

interface Run {
  child: ChildProcess;
  messages: EntryMessage[];
  /** Resolves once the service and the script's loop have closed their streams. */
  closed: Promise<{ code: number | null; stdout: string; stderr: string }>;
  message(matches: (message: EntryMessage) => boolean): Promise<EntryMessage>;
  printed(text: string): Promise<void>;
}

describe.skipIf(process.platform !== "linux")("the entry script", () => {
  const dir = mkdtempSync(join(tmpdir(), "stackwarden-entry-"));
  const script = join(dir, "entry");
  const runs: Run[] = [];
  let count = 0;

  beforeAll(() => {
    writeFileSync(script, ENTRY_SCRIPT, { mode: 0o555 });
    chmodSync(dir, 0o755);
  });
  afterEach(async () => {
    for (const { child } of runs) {
      child.kill("SIGKILL");
      // Processes that a failed test leaves must not delay the other tests.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }
    await Promise.all(runs.splice(0).map(({ closed }) => closed));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const cgroups = (files: Record<string, string>): string => {
    count += 1;
    const root = join(dir, `cgroup-${count}`);
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), `${text}\n`);
    }
    return root;
  };

  function start(
    shell: readonly string[],
    options: Partial<EntryOptions>,
    root?: string,
    path?: string,
    detached = false,
    env: NodeJS.ProcessEnv = {},
  ): Run {
    const { args, environment } = entryArgs({ ...OPTIONS, ...options }, root);
    const [program, ...words] = [...shell, script, ...args.slice(1)] as [string, ...string[]];
    const child = spawn(program, words, {
      env: { ...process.env, ...(path === undefined ? {} : { PATH: path }), ...env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached,
    });
    const messages: EntryMessage[] = [];
    const waiting = new Set<() => void>();
    let stdout = "";
    let stderr = "";
    const changed = () => {
      for (const look of [...waiting]) look();
    };
    const lines = new EntryLines(TOKEN, (message) => messages.push(message));
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk;
      changed();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr += lines.take(chunk);
      changed();
    });
    const closed = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      child.once("close", (code) => resolve({ code, stdout, stderr: stderr + lines.end() }));
    });
    const until = <T>(look: () => T | undefined): Promise<T> =>
      new Promise((resolve) => {
        const once = () => {
          const found = look();
          if (found === undefined) return;
          waiting.delete(once);
          resolve(found);
        };
        waiting.add(once);
        once();
      });
    const run: Run = {
      child,
      messages,
      closed,
      message: (matches) => until(() => messages.find(matches)),
      printed: (text) => until(() => (stdout.includes(text) ? true : undefined)).then(() => undefined),
    };
    runs.push(run);
    return run;
  }

  /**
   * Waits until all processes of the script catch SIGTERM: the one that translates signals may start after the service.
   */
  async function translating({ child }: Run): Promise<void> {
    const catches = (pid: string) => {
      const caught = /^SigCgt:\t(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
      return (BigInt(`0x${caught}`) >> 14n) % 2n === 1n;
    };
    const own = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    while (own().length < 2 || !own().every(catches)) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  for (const [name, shell] of SHELLS) {
    describe.skipIf(!succeeds(shell[0], ...shell.slice(1), "-c", "true"))(`under ${name}`, () => {
      it("the script reports the process's privileges once, then executes the service", async () => {
        const run = start(shell, { command: ["/bin/sh", "-c", "echo $$; echo to stderr >&2; exit 7"] });
        const { code, stdout, stderr } = await run.closed;
        expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: `${run.child.pid}\n`, stderr: "to stderr\n" });
        const own = readFileSync("/proc/self/status", "utf8");
        expect(run.messages).toEqual([
          {
            type: "start",
            uid: process.geteuid?.(),
            gid: process.getegid?.(),
            noNewPrivileges: nnp || /^NoNewPrivs:\t1/m.test(own),
            capabilities: /^CapEff:\t(\w+)$/m.exec(own)?.[1],
            seccomp: !/^Seccomp:\t0/m.test(own),
            cgroup: null,
            empty: [],
          },
        ]);
      });

      it("the script removes postmaster.pid from a PostgreSQL volume and removes no other file", async () => {
        const volume = join(dir, name, "pg");
        const data = join(volume, "data");
        const elsewhere = join(dir, name, "pg-other");
        for (const folder of [data, elsewhere]) {
          mkdirSync(folder, { recursive: true });
          for (const file of ["postmaster.pid", "PG_VERSION"]) writeFileSync(join(folder, file), "1\n");
        }
        const run = (PGDATA: string, volumes = [volume]) =>
          start(shell, { volumes }, undefined, undefined, false, { PGDATA }).closed;
        expect(await run(elsewhere)).toMatchObject({ code: 0, stderr: "" });
        expect(existsSync(join(elsewhere, "postmaster.pid"))).toBe(true);
        await run(data);
        expect(readdirSync(data)).toEqual(["PG_VERSION"]);
        await run(elsewhere, [elsewhere]);
        expect(readdirSync(elsewhere)).toEqual(["PG_VERSION"]);
      });

      it("the script reports empty volumes, also for names with shell characters", async () => {
        const volumes = ["full", "empty", "hidden", "dangling", "a b *", "missing"].map((one) => join(dir, name, one));
        const [full, empty, hidden, dangling, odd] = volumes as [string, string, string, string, string];
        for (const folder of [full, empty, hidden, dangling, odd]) mkdirSync(folder, { recursive: true });
        writeFileSync(join(full, "x"), "");
        writeFileSync(join(hidden, ".x"), "");
        symlinkSync("nowhere", join(dangling, "..x"));
        const run = start(shell, { volumes, command: ["/bin/sh", "-c", 'echo "$@"', "sh", "kept"] });
        expect((await run.closed).stdout).toBe("kept\n");
        expect(run.messages).toMatchObject([{ type: "start", empty: [1, 4] }]);
      });

      it("the service receives all of its variables and none of the engine's", async () => {
        const variables = [...new Set(ENTRY_SCRIPT.match(/(?<![\w$])[a-z]\w*(?==)/g))];
        const own = Object.fromEntries([...variables, "token", "version", "name"].map((name) => [name, `own ${name}`]));
        const run = start(shell, { command: ["cat", "/proc/self/environ"] }, undefined, undefined, false, {
          ...own,
          OTEL_EXPORTER_OTLP_ENDPOINT: "the engine's",
          TRACEPARENT: "the engine's",
          STACKWARDEN_OWN_OTEL_EXPORTER_OTLP_ENDPOINT: "a \"b\" $HOME `id`\n'c'",
        });
        const pairs = (await run.closed).stdout.split("\0").filter((pair) => pair !== "");
        const seen = Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
        expect(seen).toMatchObject(own);
        expect(seen.OTEL_EXPORTER_OTLP_ENDPOINT).toBe("a \"b\" $HOME `id`\n'c'");
        expect(seen).not.toHaveProperty("TRACEPARENT");
        expect(Object.keys(seen).filter((name) => name.startsWith("STACKWARDEN_OWN_"))).toEqual([]);
      });

      it("the script restores hidden arguments and removes their variables", async () => {
        const hidden = new SecretArgs(TOKEN, ["s3cret-value", "postgres"]);
        const odd = `--pass=s3cret-value "$(id)" 'x'\n\${HOME}`;
        const show = `${PRINT_WORDS}; echo "\${STACKWARDEN_WORD_1-unset}"`;
        const words = ["/bin/sh", "-c", show, "sh", odd, "postgres", odd, `${TOKEN}.x`, `${TOKEN}.9`];
        const command = hidden.hide(words);
        expect(command.slice(4, 7)).toEqual([`${TOKEN}.1`, "postgres", `${TOKEN}.1`]);
        expect(hidden.environment()).toEqual({ STACKWARDEN_WORD_1: odd });
        process.env.STACKWARDEN_WORD_1 = odd;
        const run = start(shell, { command });
        delete process.env.STACKWARDEN_WORD_1;
        const { stdout } = await run.closed;
        expect(stdout.split(MARK)).toEqual([odd, "postgres", odd, `${TOKEN}.x`, "", "unset\n"]);
        expect(hidden.masked(odd)).toContain("--pass=***");
        expect(hidden.command(["pg_isready"])).toEqual(["pg_isready"]);
      });

      it("arguments of the command and of the health check arrive unchanged", async () => {
        const odd = ["", " ", "$(touch pwned)", "`id`", "a\nb", '"', "'", "\\", "*", "-n", "--", "ä", "x=y;z"];
        const printed = odd.map((word) => word + MARK).join("");
        const run = start(shell, {
          command: ["/bin/sh", "-c", `${PRINT_WORDS}; exec sleep 1000`, "sh", ...odd],
          health: {
            words: ["/bin/sh", "-c", PRINT_WORDS, "sh", ...odd],
            intervalMs: 100,
            startIntervalMs: 100,
            timeoutMs: 30_000,
          },
        });
        const health = await run.message(({ type }) => type === "health");
        expect(health).toMatchObject({ exitCode: 0, timedOut: false, output: printed });
        await run.printed(printed);
        // The health check loop is not a child of the service.
        expect(readFileSync(`/proc/${run.child.pid}/task/${run.child.pid}/children`, "utf8").trim()).toBe("");
        run.child.kill("SIGTERM");
        await new Promise((resolve) => run.child.once("exit", resolve));
      });

      it.each([
        ["v2", V2],
        ["v1", V1],
      ] as const)("the service starts only after every limit is in force (cgroup %s)", async (version, files) => {
        const cat = (root: string) => ["cat", ...Object.keys(files).map((file) => join(root, file))];
        const inForce = cgroups(files);
        const good = start(shell, { limits: LIMITS, command: cat(inForce) }, inForce);
        const names = Object.keys(files).filter((file) => file !== "cgroup.controllers" && !file.endsWith("period_us"));
        const wrong = names.flatMap((file) =>
          ["max", "-1", "9223372036854771712", "", null].map((text) => {
            const root = cgroups({ ...files, [file]: text ?? "" });
            if (text === null) rmSync(join(root, file));
            return start(shell, { limits: LIMITS, waitSeconds: 0, command: ["echo", "ran"] }, root);
          }),
        );
        for (const run of wrong) {
          expect(await run.closed).toEqual({ code: 125, stdout: "", stderr: "" });
          expect(run.messages).toEqual([{ type: "unlimited", waitedSeconds: 0 }]);
        }
        expect((await good.closed).stdout).toBe(`${Object.values(files).join("\n")}\n`);
        expect(good.messages).toMatchObject([{ type: "start", cgroup: version }]);

        // The limits are written one after the other, as runc writes them.
        const late = cgroups(Object.fromEntries(Object.keys(files).map((file) => [file, "max"])));
        if (version === "v1") rmSync(join(late, "cpu/cpu.cfs_period_us"));
        const run = start(shell, { limits: LIMITS, command: cat(late) }, late);
        for (const [file, text] of Object.entries(files)) {
          expect(run.messages).toEqual([]);
          writeFileSync(join(late, file), `${text}\n`);
        }
        expect((await run.closed).stdout).toBe(`${Object.values(files).join("\n")}\n`);
      });

      it("a health check runs at the start interval, and a timeout kills all of its processes", async () => {
        count += 1;
        const ready = join(dir, `ready-${count}`);
        const orphan = `${ready}.pid`;
        const check = [
          `if [ -e ${ready} ]; then sleep 300 & echo $! > ${orphan}; wait; fi`,
          `printf 'not "yet"\\n\\001\\377'`,
          "echo complaint >&2",
          "exit 3",
        ].join("\n");
        const run = start(shell, {
          command: ["sleep", "1000"],
          health: {
            words: ["/bin/sh", "-c", check],
            intervalMs: 60_000,
            startIntervalMs: 50,
            timeoutMs: 2000,
          },
        });
        const first = await run.message(({ type }) => type === "health");
        expect(first).toEqual({
          type: "health",
          exitCode: 3,
          timedOut: false,
          output: 'not "yet"\n\u0001\ufffdcomplaint\n',
        });
        writeFileSync(ready, "");
        const late = await run.message((one) => one.type === "health" && one.timedOut);
        expect(late).toMatchObject({ exitCode: 137, output: "" });
        const pid = readFileSync(orphan, "utf8").trim();
        const status = () => {
          try {
            return /^State:\t(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
          } catch {
            return "gone";
          }
        };
        expect(["gone", "Z"]).toContain(status());
        // The loop ends with the service and closes its streams.
        run.child.kill("SIGTERM");
        await run.closed;
      });

      it.each([
        ["SIGINT", 41],
        ["SIGQUIT", 42],
        ["SIGUSR1", 43],
        ["SIGHUP", 44],
      ] as const)("SIGTERM becomes %s, and other signals are forwarded", async (stopSignal, code) => {
        // A shell cannot trap a signal that was ignored when it started.
        const service = `
          trap 'exit ${code}' ${stopSignal.slice(3)}
          trap 'echo usr2' USR2
          trap 'exit 99' TERM
          echo up
          while :; do sleep 0.05; done`;
        // The engine's init signals the process group of the process that it started.
        const run = start(shell, { stopSignal, command: ["/bin/sh", "-c", service] }, undefined, undefined, true);
        await run.printed("up\n");
        await translating(run);
        process.kill(-(run.child.pid as number), "SIGUSR2");
        await run.printed("usr2\n");
        process.kill(-(run.child.pid as number), "SIGTERM");
        expect((await run.closed).code).toBe(code);
      });
    });
  }

  it.each(SHELLS)(
    "as a parent under %s, the script ends with its service, which has default signal handling",
    async (_name, shell) => {
      if (!succeeds(shell[0], ...shell.slice(1), "-c", "true")) return;
      const started = (stopSignal: string, ...command: string[]) =>
        start(shell, { stopSignal, command }, undefined, undefined, true);
      expect((await started("SIGQUIT", "sh", "-c", "exit 9").closed).code).toBe(9);
      expect((await started("SIGQUIT", "/no/such/program").closed).code).toBe(127);
      const interrupt = async (run: Run) => {
        await translating(run);
        process.kill(-(run.child.pid as number), "SIGTERM");
      };
      const plain = started("SIGINT", "sh", "-c", "echo up; exec sleep 1000");
      await plain.printed("up\n");
      await interrupt(plain);
      expect((await plain.closed).code).toBe(130);
      // A shell that starts with a signal ignored cannot trap it.
      const asking = started(
        "SIGQUIT",
        "sh",
        "-c",
        "trap 'exit 6' QUIT; echo up >&2; echo up; while :; do sleep 0.05; done",
      );
      await asking.printed("up\n");
      await interrupt(asking);
      expect(await asking.closed).toMatchObject({ code: 6, stdout: "up\n", stderr: "up\n" });
    },
  );

  it("the script works without setpriv, setsid and env", async () => {
    const bin = join(dir, "bin");
    mkdirSync(bin);
    for (const program of ["sh", "grep", "sleep", "tail", "od", "tr", "cat"])
      symlinkSync(
        spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim(),
        join(bin, program),
      );
    const run = start(
      ["/bin/sh"],
      {
        stopSignal: "SIGHUP",
        // Without a separate session it also receives the engine's signal to the process group.
        command: ["sh", "-c", "trap '' TERM; trap 'exit 5' HUP; echo up; while :; do sleep 0.05; done"],
        health: {
          words: ["sleep", "300"],
          intervalMs: 60_000,
          startIntervalMs: 50,
          timeoutMs: 100,
        },
      },
      undefined,
      bin,
      true,
    );
    expect(await run.message(({ type }) => type === "health")).toMatchObject({ exitCode: 137, timedOut: true });
    await run.printed("up\n");
    expect(run.messages[0]).toMatchObject({ type: "start", noNewPrivileges: false });
    await translating(run);
    process.kill(-(run.child.pid as number), "SIGTERM");
    expect((await run.closed).code).toBe(5);
  });

  it("entryArgs refuses an invalid token, command or signal", () => {
    expect(() => entryArgs({ ...OPTIONS, token: "short" })).toThrow("token");
    expect(() => entryArgs({ ...OPTIONS, token: `${TOKEN}"` })).toThrow("token");
    expect(() => entryArgs({ ...OPTIONS, command: [] })).toThrow("command");
    expect(() => entryArgs({ ...OPTIONS, stopSignal: "$(id)" })).toThrow("signal");
  });
});
