/** What a person reads: commands instead of operations, and nothing that steers the terminal. */
import { expect, it } from "vitest";
import { asCommands } from "../../src/cli/output/commands.js";
import { bold, harmless, red } from "../../src/cli/output/terminal.js";

it.each([
  ['Start it with start_stack {"project": "shop"}.', "Start it with `stackwarden up`."],
  [
    'get_logs {"project":"shop","service":"web","previous":true,"tail":50}',
    "`stackwarden logs web --previous --tail 50`",
  ],
  ['set_limits {"project": "shop", "service": "db", "memory_mb": 768}', "`stackwarden limits db --memory 768`"],
  ["Call health_status to see what became of it.", "Call `stackwarden health` to see what became of it."],
  ['For example restart_service {"project": …}', "For example `stackwarden restart`"],
  ["When the user wants that, call again with confirm: true.", "When the user wants that, call again with --yes."],
  ["my_start_stack_thing is no operation", "my_start_stack_thing is no operation"],
])("%s is for a person: %s", (told, shown) => {
  expect(asCommands(told)).toBe(shown);
});

it("lets nothing through that steers a terminal, but its own colours and line ends", () => {
  const evil = "a\u001b]0;title\u0007\u001b[2J\u001b[8mb\u009b31m\u202ec\r\u0000d";
  expect(harmless(`${evil}\n${evil}`)).toBe("ab c d\nab c d".replaceAll(" c d", "c d"));
  const own = `\u001b[1m${"x"}\u001b[22m \u001b[31my\u001b[39m`;
  expect(harmless(own)).toBe(own);
  expect(harmless(`${bold("x")}${red("y")}`)).toBe(`${bold("x")}${red("y")}`);
});
