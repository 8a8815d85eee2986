import * as z from "zod";
import { commandOutcome } from "../stack/schemas/commands.js";
import {
  commandEnvironment,
  commandInput,
  commandLine,
  commandSeconds,
  defined,
  flag,
  integer,
  project,
  service,
  workdir,
} from "./fields.js";
import { defineOperation } from "./operation.js";

export const runCommand = defineOperation({
  name: "run_command",
  title: "Run command",
  description: [
    "Run a command with a service's files, environment, user and limits: migrations, tests, psql.",
    "Uses the running instance, or a fresh one if none runs. Text is split into arguments without a shell unless shell is true.",
    'Example: {"project": "shop", "service": "backend", "command": ["npm", "test"], "timeout_seconds": 300}',
  ].join("\n"),
  input: z.strictObject({
    project,
    service,
    command: commandLine,
    shell: flag("Run with /bin/sh.").default(false),
    one_off: flag("Always a fresh instance.").default(false),
    dependencies: flag("If the stack is stopped, start dependencies first.").default(false),
    workdir: workdir.optional(),
    env: commandEnvironment.optional(),
    stdin: commandInput.optional(),
    timeout_seconds: commandSeconds,
    max_bytes: integer(1000, 200_000, "Longest output; the middle is cut.").default(16_000),
  }),
  output: commandOutcome,
  annotations: { readOnly: false, destructive: true, idempotent: false, openWorld: true },
  command: {
    name: "exec",
    operands: ["service", "command"],
    options: { workdir: "--workdir", shell: "--shell", timeout_seconds: "--timeout", env: "--env" },
  },
  rest: [
    { method: "post", path: "/projects/{id}/services/{service}/commands", summary: "Run a command in a service." },
  ],
  // The caller chooses the command, so a second call with `confirm` would add no information.
  destroys: () => null,
  run: (input, { manager, ...call }) =>
    manager.runCommand(
      {
        project: input.project,
        service: input.service,
        command: input.command,
        shell: input.shell,
        oneOff: input.one_off,
        dependencies: input.dependencies,
        ...defined({ workdir: input.workdir, environment: input.env, stdin: input.stdin }),
        timeoutMs: input.timeout_seconds * 1000,
        maxBytes: input.max_bytes,
      },
      call,
    ),
});
