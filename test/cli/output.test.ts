/** The output of commands on a terminal. */
import { expect, it, vi } from "vitest";
import { reportFailure } from "../../src/cli/failure.js";
import { LogPrinter } from "../../src/cli/output/log-lines.js";
import { bold, harmless, red, servicePainter } from "../../src/cli/output/terminal.js";
import { StackwardenError } from "../../src/errors.js";
import { callTo, hint } from "../../src/hint.js";
import { getLogs } from "../../src/operations/get-logs.js";
import { parseInput } from "../../src/operations/index.js";
import { inputError } from "../../src/operations/input-error.js";
import type { LogReport } from "../../src/stack/model.js";

it("harmless removes terminal control sequences except the program's own colours", () => {
  const evil = "a\u001b]0;title\u0007\u001b[2J\u001b[8mb\u009b31m\u202ec\r\u0000d";
  expect(harmless(`${evil}\n${evil}`)).toBe("ab c d\nab c d".replaceAll(" c d", "c d"));
  const own = `\u001b[1m${"x"}\u001b[22m \u001b[31my\u001b[39m`;
  expect(harmless(own)).toBe(own);
  expect(harmless(`${bold("x")}${red("y")}`)).toBe(`${bold("x")}${red("y")}`);
});

it("logs prints each service in one colour, and names the option that shows omitted lines", () => {
  const [lines, notes]: [string[], string[]] = [[], []];
  const terminal = {
    json: false,
    print: (text: string) => void lines.push(text),
    note: (text: string) => void notes.push(text),
  };
  const painter = servicePainter([(text) => `<1>${text}`, (text) => `<2>${text}`]);
  const printer = new LogPrinter(terminal, false, painter);
  const line = (service: string) => ({ service, text: "x", time: "", stream: "stdout", seq: 1 });
  const page = (services: string[], omitted: LogReport["omitted"] = null) =>
    printer.print({ lines: services.map(line), omitted } as unknown as LogReport);
  page(["db", "backend", "db"], { lines: 7, reason: "tail", how_to_get: "cursor 1:2" });
  page(["db"]);
  expect(lines.map((text) => text.slice(0, 10))).toEqual(["<1>db     ", "<2>backend", "<1>db     ", "<1>db     "]);
  expect(notes).toEqual(["7 lines omitted: show more with --tail"]);
});

function failure(run: () => unknown): { code: number; text: string } {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    run();
    throw new Error("It did not fail.");
  } catch (error) {
    const code = reportFailure(error, false);
    return { code, text: write.mock.calls.map(([text]) => String(text)).join("") };
  } finally {
    write.mockRestore();
  }
}

it("an error names options and commands instead of fields and operations", () => {
  expect(failure(() => parseInput(getLogs, { project: "shop", tail: 0 }))).toEqual({
    code: 2,
    text: [
      "error INVALID_INPUT: --tail: expected an integer from 1 to 10,000, got 0.",
      "  `stackwarden logs --help` shows the options; nothing was changed.\n",
    ].join("\n"),
  });
  const missing = failure(() => {
    throw inputError("set_limits", [
      { field: "cpus", problem: "is missing", valid: "at least one of cpus, memory_mb, pids" },
    ]);
  });
  expect(missing.text).toContain("--cpus is missing; expected at least one of --cpus, --memory, --pids.");
  const unconfirmed = failure(() => {
    throw new StackwardenError("CONFIRMATION_REQUIRED", "restore_snapshot would permanently delete the data.", {
      hint: hint`If the user wants that: ${callTo("restore_snapshot", { snapshot: "one", confirm: true })}.`,
      details: { operation: "restore_snapshot" },
    });
  });
  expect(unconfirmed.text).toContain("stackwarden snapshot restore would permanently delete the data.");
  expect(unconfirmed.text).toContain("To confirm: `stackwarden snapshot restore one --yes`.");
});
