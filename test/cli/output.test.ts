/** The output of commands for people. */
import { expect, it } from "vitest";
import { LogPrinter } from "../../src/cli/output/log-lines.js";
import { bold, harmless, red, servicePainter } from "../../src/cli/output/terminal.js";
import type { LogReport } from "../../src/stack/model.js";

it("the output contains no terminal control sequences except its own colours and line ends", () => {
  const evil = "a\u001b]0;title\u0007\u001b[2J\u001b[8mb\u009b31m\u202ec\r\u0000d";
  expect(harmless(`${evil}\n${evil}`)).toBe("ab c d\nab c d".replaceAll(" c d", "c d"));
  const own = `\u001b[1m${"x"}\u001b[22m \u001b[31my\u001b[39m`;
  expect(harmless(own)).toBe(own);
  expect(harmless(`${bold("x")}${red("y")}`)).toBe(`${bold("x")}${red("y")}`);
});

it("logs prints each service in one colour, and names the options that show omitted lines", () => {
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
  expect(lines.map((text) => text.slice(0, 10))).toEqual(["<1>db | x", "<2>backend", "<1>db     ", "<1>db     "]);
  expect(notes).toEqual(["7 lines omitted: show more with --tail"]);
});
