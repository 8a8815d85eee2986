/** Commands that callers run in a service, and services that are paused. */
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { ExecRequest, ExecResult, RuntimeService, RuntimeStack } from "../../../src/stack/runtime.js";
import { type Bench, RecordingSink, until, WAITS } from "./bench.js";
import { type Given, once, shared } from "./contract.js";

/** Part of the text of every command and of no service. */
const COMMAND = "is-a-command";
/** Part of the text of the service that is never started. */
const IDLE = "is-the-idle-service";

type Fields = Partial<Omit<ExecRequest, "command" | "onOutput">>;
type Ran = ExecResult & { out: string; err: string; bytes: Buffer };

/** A Python program as a command, marked so that its processes can be found. */
const program = (bench: Bench, text: string): string[] => [
  "python3",
  "-S",
  "-u",
  "-c",
  `# ${bench.mark} ${COMMAND}\n${text}`,
];

/** Waits until no process of a command runs; processes of services may. */
const noCommandRuns = async (bench: Bench): Promise<void> => {
  if (bench.target.processesVisible === false) return;
  await until("no process of a command is left", () => !bench.processes().some((line) => line.includes(COMMAND)));
};

async function collected(run: (onOutput: ExecRequest["onOutput"]) => Promise<ExecResult>): Promise<Ran> {
  const sink = new RecordingSink();
  const result = await run((stream, chunk) => sink.write(stream, chunk));
  return { ...result, out: sink.text("stdout"), err: sink.text("stderr"), bytes: Buffer.concat(sink.stdout) };
}

/** A command that hides its processes. */
const escapes = (bench: Bench): string[] => [
  ...program(bench, ESCAPES),
  ...(bench.target.endsBareProcesses === false ? ["marked"] : []),
];

const exec = (running: RuntimeService, command: string[], fields: Fields = {}): Promise<Ran> =>
  collected((onOutput) => running.exec({ signal: new AbortController().signal, ...fields, command, onOutput }));

function oneOff(
  bench: Bench,
  stack: RuntimeStack,
  service: ServiceDefinition,
  command: string[],
  { signal, ...fields }: Fields = {},
): Promise<Ran> {
  const request = bench.request(service, signal === undefined ? {} : { signal });
  return collected((onOutput) => stack.runOneOff({ ...request, exec: { ...fields, command, onOutput } }));
}

const killed = ({ exitCode, signal }: ExecResult): boolean => signal === "SIGKILL" || exitCode === 137;

/** Forks, leaves its process group and session, clears its environment and ignores SIGTERM. */
const ESCAPES = `
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "bare" in sys.argv:
    print("escaped", flush=True)
    while True: time.sleep(0.05)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = open("/proc/self/cmdline", "rb").read().split(b"\\0")[4]
        marked = "marked" in sys.argv
        keep = {k: v for k, v in os.environ.items() if marked or k.startswith(("LD_", "PYTHON"))}
        os.execve(sys.executable, [sys.executable, "-S", "-u", "-c", code, "bare"], keep)
    os._exit(0)
print("up", flush=True)
while True: time.sleep(0.05)
`;

/** Reports its terminal and every change of its size, until it is interrupted. */
const TERMINAL = `
import os, signal, sys
def report(*_):
    columns, rows = os.get_terminal_size()
    print("size", columns, rows, flush=True)
signal.signal(signal.SIGWINCH, report)
print("terminal", sys.stdin.isatty(), sys.stdout.isatty(), os.environ["TERM"], flush=True)
report()
try:
    for line in sys.stdin:
        print("typed", line.strip(), flush=True)
        report()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(9)
`;

/** A terminal of a caller. */
function terminal(columns: number, rows: number) {
  let size = { columns, rows };
  const listeners = new Set<() => void>();
  const input = new PassThrough();
  return {
    input,
    size: () => size,
    onResize: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    resize: (next: { columns: number; rows: number }) => {
      size = next;
      for (const listener of listeners) listener();
    },
    listeners,
  };
}

/** Prints increasing numbers. */
const COUNTS = `
import time
n = 0
while True:
    n += 1
    print("count", n, flush=True)
    time.sleep(0.02)
`;

interface Commanded {
  bench: Bench;
  stack: RuntimeStack;
  /** Runs. */
  service: ServiceDefinition;
  running: RuntimeService;
  sink: RecordingSink;
  /** Is never started. */
  idle: ServiceDefinition;
  /** Prints numbers. */
  counts: ServiceDefinition;
  /** Its post_start hook fails. */
  failing: ServiceDefinition;
}

/** Terminals, output and faults of commands, and paused services. */
function formTests(all: () => Promise<Commanded>): void {
  describe("forms of commands", () => {
    it("a command in a terminal is resized, reads input and is interrupted by Ctrl-C, where supported", async () => {
      const { bench, stack, service, running } = await all();
      const drive = async (run: (exec: Omit<ExecRequest, "signal">) => Promise<ExecResult>): Promise<void> => {
        const own = terminal(91, 31);
        const output = new RecordingSink();
        const ended = run({
          command: program(bench, TERMINAL),
          environment: { TERM: "xterm" },
          terminal: own,
          onOutput: (stream, chunk) => output.write(stream, chunk),
        });
        if (bench.target.terminals === false) {
          await expect(ended).rejects.toMatchObject({ code: "UNSUPPORTED", details: { terminal: false } });
          return;
        }
        await output.shows("terminal True True xterm");
        await output.shows("size 91 31");
        // The kernel echoes the input.
        own.input.write("hello\r");
        await output.shows("hello\r\n");
        await output.shows("typed hello");
        own.resize({ columns: 120, rows: 40 });
        await output.shows("size 120 40");
        own.input.write("\x03");
        await output.shows("interrupted");
        expect(await ended).toMatchObject({ exitCode: 9, signal: null });
        expect(output.text("stdout")).not.toContain("/dev/pts");
        expect(own.listeners.size).toBe(0);
      };
      const { signal } = new AbortController();
      await drive((request) => running.exec({ ...request, signal }));
      await drive((request) => stack.runOneOff({ ...bench.request(service), exec: request }));
      await noCommandRuns(bench);
    });

    it("output bytes arrive unchanged, and large output arrives completely", async () => {
      const { bench, running } = await all();
      const ran = await exec(running, program(bench, "import sys; sys.stdout.buffer.write(bytes(range(256)) * 16)"));
      expect(ran.bytes.equals(Buffer.from(Array.from({ length: 4096 }, (_, at) => at % 256)))).toBe(true);
      let bytes = 0;
      const flood = await running.exec({
        command: program(bench, "import sys\nfor n in range(4000): sys.stdout.write('x' * 4095 + '\\n')"),
        signal: new AbortController().signal,
        onOutput: async (_stream, chunk) => {
          bytes += chunk.length;
        },
      });
      expect(flood.exitCode).toBe(0);
      expect(bytes).toBe(4000 * 4096);
    });

    it("a command whose program is missing fails with COMMAND_NOT_FOUND", async () => {
      const { running } = await all();
      await expect(exec(running, ["no-such-program-anywhere"])).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
    });

    it("a one-off command whose program is missing fails with COMMAND_NOT_FOUND", async () => {
      const { bench, stack, idle } = await all();
      await expect(oneOff(bench, stack, idle, ["no-such-program-anywhere"])).rejects.toMatchObject({
        code: "COMMAND_NOT_FOUND",
      });
    });

    it("a one-off command runs without its service, with its environment and separate input", async () => {
      const { bench, stack, idle } = await all();
      const text = 'import os, sys; print(os.environ["SAYS"], sys.stdin.read(), os.getuid() != 0); sys.exit(4)';
      const ran = await oneOff(bench, stack, idle, program(bench, text), { stdin: Buffer.from("input") });
      expect(ran).toMatchObject({ exitCode: 4, signal: null, out: "hello input True\n" });
      await noCommandRuns(bench);
      expect(bench.processes().filter((line) => line.includes(IDLE))).toEqual([]);
    });

    it("a one-off command does not affect a running service", async () => {
      const { bench, stack, service, running } = await all();
      const ran = await oneOff(bench, stack, service, program(bench, "print('beside')"));
      expect(ran).toMatchObject({ exitCode: 0, out: "beside\n" });
      expect((await exec(running, program(bench, "print('there')"))).out).toBe("there\n");
    });

    it("a paused service prints nothing until it is resumed, and then continues", async () => {
      const { bench, stack, counts } = await all();
      const running = await bench.start(stack, counts);
      const sink = bench.sink("counts");
      await sink.shows("count 3");
      await running.pause();
      const count = (): number => Number(/count (\d+)\n(?:(?!count).)*$/s.exec(sink.all)?.[1]);
      // Output that was written before the pause still arrives.
      let before = -1;
      await until("its output stops", async () => {
        const now = count();
        const same = now === before;
        before = now;
        await new Promise((resolve) => setTimeout(resolve, 150));
        return same && count() === now;
      });
      await running.resume();
      await sink.shows(`count ${before + 5}`);
      await running.resume();
      await running.pause();
      await running.stop({ graceMs: 0 });
    });

    it("a failed post_start hook fails the start", async () => {
      const { bench, stack, failing } = await all();
      await expect(bench.start(stack, failing)).rejects.toMatchObject({
        code: "SERVICE_START_FAILED",
        message: expect.stringContaining("The post_start hook of failing ended with exit code 4"),
      });
    });
  });
}

/** Commands in a running instance. */
function execTests(all: () => Promise<Commanded>): void {
  describe("commands in a service", () => {
    it("a command has the service's environment and user, and separate streams", async () => {
      const { bench, running, sink } = await all();
      const text =
        'import os, sys; print(os.environ["SAYS"], os.environ["MORE"], os.getuid(), os.getcwd()); print("wrong", file=sys.stderr); sys.exit(3)';
      const ran = await exec(running, program(bench, text), { environment: { MORE: "of it" } });
      expect(ran).toMatchObject({ exitCode: 3, signal: null, oomKilled: false, err: "wrong\n" });
      const [says, ...rest] = ran.out.trim().split(" ");
      expect([says, rest[0], rest[1]]).toEqual(["hello", "of", "it"]);
      if (running.user.uid !== null) expect(Number(rest[2])).toBe(running.user.uid);
      expect(sink.all).not.toContain("wrong");
    });

    it("a command reads its standard input to the end", async () => {
      const { bench, running } = await all();
      const text = "import sys; data = sys.stdin.buffer.read(); print(len(data), sum(data))";
      const stdin = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
      const ran = await exec(running, program(bench, text), { stdin });
      expect(ran.out).toBe(`${stdin.length} ${stdin.reduce((sum, byte) => sum + byte, 0)}\n`);
      expect((await exec(running, program(bench, text))).out).toBe("0 0\n");
    });

    it("a cancellation kills a command with all processes that it started", async () => {
      const { bench, running } = await all();
      const end = new AbortController();
      const output = new RecordingSink();
      const ended = running.exec({
        command: escapes(bench),
        signal: end.signal,
        onOutput: (stream, chunk) => output.write(stream, chunk),
      });
      await output.shows("escaped");
      end.abort();
      expect(killed(await ended)).toBe(true);
      await noCommandRuns(bench);
      // The service continues.
      expect((await exec(running, program(bench, "print('still here')"))).out).toBe("still here\n");
    });

    it("the end of a command ends its background processes", async () => {
      const { bench, running } = await all();
      const text = `import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True: time.sleep(0.05)`;
      expect((await exec(running, program(bench, text))).exitCode).toBe(0);
      await noCommandRuns(bench);
      // The command ends before its process can be observed.
      const brief = ["sh", "-c", `sleep 1234 & : ${bench.mark} ${COMMAND}`];
      expect((await exec(running, brief)).exitCode).toBe(0);
      await noCommandRuns(bench);
    });
  });
}

function oneOffTests(all: () => Promise<Commanded>): void {
  describe("one-off commands", () => {
    it("a cancellation kills a one-off command with all processes that it started", async () => {
      const { bench, stack, idle } = await all();
      const end = new AbortController();
      const output = new RecordingSink();
      const request = bench.request(idle, { signal: end.signal });
      const ended = stack.runOneOff({
        ...request,
        exec: { command: escapes(bench), onOutput: (stream, chunk) => output.write(stream, chunk) },
      });
      await output.shows("escaped");
      end.abort();
      expect(killed(await ended)).toBe(true);
      await noCommandRuns(bench);
    });
  });
}

function define(given: Given, whole: boolean): void {
  describe("commands", () => {
    const all = shared(given, async (bench) => {
      const environment = { SAYS: "hello" };
      const hook = (command: string[]) => ({ command, environment: { MORE: "more" } });
      const say = (word: string) =>
        hook(program(bench, `import os; print("${word}", os.environ["SAYS"], os.environ["MORE"], os.getuid())`));
      const service = bench.python("app", WAITS, {
        environment,
        postStart: [say("begun")],
        preStop: [hook(program(bench, "raise SystemExit(3)")), say("stopping")],
      });
      const idle = bench.python("idle", `# ${IDLE}\n${WAITS}`, { environment });
      const counts = bench.python("counts", COUNTS);
      const failing = { ...service, name: "failing", postStart: [hook(program(bench, "raise SystemExit(4)"))] };
      const stack = await bench.open([service, idle, counts, failing]);
      const running = await bench.start(stack, service);
      const sink = bench.sink("app");
      await sink.shows("up");
      await sink.shows("begun hello more");
      return { stack, service, running, sink, idle, counts, failing };
    });
    /** Stops the service while a command runs in it. @returns the result of the command */
    const stopped = once(async () => {
      const { bench, running } = await all();
      const output = new RecordingSink();
      const ended = running.exec({
        command: escapes(bench),
        signal: new AbortController().signal,
        onOutput: (stream, chunk) => output.write(stream, chunk),
      });
      await output.shows("escaped");
      await running.stop({ graceMs: 20_000 });
      return ended;
    });
    if (whole) formTests(all);
    execTests(all);
    oneOffTests(all);

    it("a stop of the service ends its commands, and later ones are refused", async () => {
      const { bench, running } = await all();
      expect((await stopped()).exitCode).not.toBe(0);
      await expect(exec(running, program(bench, "print(1)"))).rejects.toMatchObject({ code: "SERVICE_NOT_STARTED" });
    });

    it("hooks run after the start and before the stop", async () => {
      const { bench, running, sink } = await all();
      await stopped();
      expect(sink.all).toContain("begun hello more");
      if (running.user.uid !== null) expect(sink.all).toContain(`begun hello more ${running.user.uid}\n`);
      expect(sink.all).toContain("stopping hello more");
      expect(sink.all).toContain("The pre_stop hook failed: exit code 3");
      expect(sink.all.indexOf("received SIGTERM")).toBeGreaterThan(sink.all.indexOf("stopping"));
      await bench.nothingRuns();
    });

    it("closing the stack ends its one-off commands", async () => {
      const { bench, stack, idle } = await all();
      const output = new RecordingSink();
      const ended = stack.runOneOff({
        ...bench.request(idle),
        exec: { command: escapes(bench), onOutput: (stream, chunk) => output.write(stream, chunk) },
      });
      await output.shows("escaped");
      await stack.close();
      const { exitCode } = await ended;
      expect(exitCode).not.toBe(0);
      await bench.nothingRuns();
    });
  });
}

export const commandTests = (given: Given): void => define(given, true);

/**
 * How a command's user, input, end and processes are seen and ended, for an engine on another machine. The rest of a
 * command's code does not depend on the place.
 */
export const commandProcessTests = (given: Given): void => define(given, false);
