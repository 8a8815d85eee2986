/** What a person reads: nothing in it steers the terminal. */
import { expect, it } from "vitest";
import { bold, harmless, red } from "../../src/cli/output/terminal.js";

it("lets nothing through that steers a terminal, but its own colours and line ends", () => {
  const evil = "a\u001b]0;title\u0007\u001b[2J\u001b[8mb\u009b31m\u202ec\r\u0000d";
  expect(harmless(`${evil}\n${evil}`)).toBe("ab c d\nab c d".replaceAll(" c d", "c d"));
  const own = `\u001b[1m${"x"}\u001b[22m \u001b[31my\u001b[39m`;
  expect(harmless(own)).toBe(own);
  expect(harmless(`${bold("x")}${red("y")}`)).toBe(`${bold("x")}${red("y")}`);
});
