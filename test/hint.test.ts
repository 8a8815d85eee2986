/** A hint as each interface shows it. */
import { describe, expect, test } from "vitest";
import { COMMAND_NOTATION, COMMANDS } from "../src/cli/output/notation.js";
import { buildProgram } from "../src/cli/program.js";
import { SETTINGS } from "../src/config/settings.js";
import { reviveError, StackwardenError, transferError } from "../src/errors.js";
import {
  callTo,
  completeCalls,
  hint,
  mapHintText,
  renderHint,
  setting,
  TOOL_NOTATION,
  variableOf,
} from "../src/hint.js";
import { REQUEST_NOTATION } from "../src/http/notation.js";
import { operations } from "../src/operations/index.js";
import { sanitizeError } from "../src/stack/text/sanitize-error.js";

const HINT = hint`Read ${3} lines of ${"web"} with ${callTo("get_logs", { project: "shop", service: "web", tail: 50 })}; the operator sets ${setting("read_only")}.`;

test("a hint is rendered as a tool call, as a command and as a request", () => {
  expect(renderHint(HINT, TOOL_NOTATION)).toBe(
    'Read 3 lines of web with get_logs {"project": "shop", "service": "web", "tail": 50}; the operator sets read_only in stackwarden.yaml (or STACKWARDEN_READ_ONLY).',
  );
  expect(renderHint(HINT, COMMAND_NOTATION)).toBe(
    "Read 3 lines of web with `stackwarden logs web --tail 50`; the operator sets --read-only, STACKWARDEN_READ_ONLY or read_only in stackwarden.yaml.",
  );
  expect(renderHint(HINT, REQUEST_NOTATION)).toBe(
    "Read 3 lines of web with GET /api/v1/projects/shop/logs/web?tail=50; the operator sets read_only in stackwarden.yaml (or STACKWARDEN_READ_ONLY).",
  );
});

describe.each([
  ["start_stack", {}, "start_stack", "`stackwarden up`", "POST /api/v1/projects/{id}/start"],
  [
    "start_stack",
    { project: "shop", ports: { web: 8001 }, profiles: ["dev"] },
    'start_stack {"project": "shop", "ports": {"web":8001}, "profiles": ["dev"]}',
    "`stackwarden up --profile dev --port web=8001`",
    'POST /api/v1/projects/shop/start {"ports":{"web":8001},"profiles":["dev"]}',
  ],
  [
    "stop_stack",
    { project: "shop", remove_volumes: true, confirm: true },
    'stop_stack {"project": "shop", "remove_volumes": true, "confirm": true}',
    "`stackwarden down --volumes --yes`",
    'POST /api/v1/projects/shop/stop {"remove_volumes":true,"confirm":true}',
  ],
  [
    "get_logs",
    { project: "shop", services: ["a", "b"], grep: "it's" },
    'get_logs {"project": "shop", "services": ["a","b"], "grep": "it\'s"}',
    "`stackwarden logs a b --grep 'it'\\''s'`",
    "GET /api/v1/projects/shop/logs?services=a&services=b&grep=it%27s",
  ],
  [
    "set_limits",
    { project: "shop", service: "db", memory_mb: 768, force: false },
    'set_limits {"project": "shop", "service": "db", "memory_mb": 768, "force": false}',
    "`stackwarden limits db --memory 768`",
    'PUT /api/v1/projects/shop/services/db/limits {"memory_mb":768,"force":false}',
  ],
  [
    "restore_snapshot",
    { project: "shop", snapshot: "before", confirm: true },
    'restore_snapshot {"project": "shop", "snapshot": "before", "confirm": true}',
    "`stackwarden snapshot restore before --yes`",
    'POST /api/v1/projects/shop/snapshots/before/restore {"confirm":true}',
  ],
  ["unknown_one", { a: 1 }, 'unknown_one {"a": 1}', 'unknown_one {"a": 1}', 'unknown_one {"a": 1}'],
] as const)("a call of %s with %j", (operation, input, tool, command, request) => {
  test("the call is rendered in each of the three notations", () => {
    const parts = [callTo(operation, input)];
    expect(renderHint(parts, TOOL_NOTATION)).toBe(tool);
    expect(renderHint(parts, COMMAND_NOTATION)).toBe(command);
    expect(renderHint(parts, REQUEST_NOTATION)).toBe(request);
  });
});

test("every operation has a command whose options exist", () => {
  const program = buildProgram({ composeManager: () => Promise.reject(new Error()), program: "" }, { code: 0 });
  for (const { name, input } of operations) {
    const form = COMMANDS[name];
    expect(form, name).toBeDefined();
    const command = program.commands.find((one) => one.name() === form?.name.split(" ")[0]);
    expect(command, form?.name).toBeDefined();
    if (form?.name.includes(" ") || command === undefined) continue;
    const flags = command.options.map(({ long }) => long);
    for (const [field, option] of Object.entries(form?.options ?? {})) {
      expect(input.shape, name).toHaveProperty(field);
      expect(flags, `${name}: ${option}`).toContain(option);
    }
  }
});

test("every setting's variable is derived from its key", () => {
  for (const { key, env } of SETTINGS) expect([variableOf(key), null], key).toContain(env);
});

test("an error keeps the parts of its hint in another process and after sanitising", () => {
  const error = new StackwardenError("STACK_NOT_RUNNING", "It is off.", { hint: HINT });
  const revived = reviveError(JSON.parse(JSON.stringify(transferError(error))));
  expect(revived.report(COMMAND_NOTATION)).toEqual(error.report(COMMAND_NOTATION));
  expect(error.report()).not.toHaveProperty("hint_parts");
  const clean = sanitizeError(error, (text) => text.replaceAll("web", "***"));
  expect(clean.hint).toContain("lines of *** with get_logs");
  expect(clean.hint).toContain('"service": "web"');
});

test("the text and the calls of a hint can be changed separately", () => {
  const parts = hint`a ${callTo("get_logs", { service: "web" })}`;
  expect(
    renderHint(
      mapHintText(parts, (text) => text.toUpperCase()),
      TOOL_NOTATION,
    ),
  ).toBe('A get_logs {"service": "web"}');
  expect(renderHint(completeCalls(parts, { project: "shop", service: "other" }), TOOL_NOTATION)).toBe(
    'a get_logs {"project": "shop", "service": "web"}',
  );
  expect(hint`${"only text"}`).toEqual([{ text: "only text" }]);
});
