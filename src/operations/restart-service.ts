import * as z from "zod";
import { restartOutcome } from "../stack/schemas/outcomes.js";
import { briefRestart } from "./brief/changes.js";
import { flag, project, service, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const restartService = defineOperation({
  name: "restart_service",
  title: "Restart service",
  description: [
    "Replace one service's instance: same data, current source code. Other services keep running.",
    "Use it after code changes; for a changed compose file use start_stack.",
    'Example: {"project": "shop", "service": "backend"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    service,
    dependents: flag("Restart its dependents too.").default(false),
    timeout_seconds: timeoutSeconds("Longest wait for health."),
  }),
  output: restartOutcome,
  brief: briefRestart,
  annotations: { readOnly: false, destructive: false, idempotent: false, openWorld: true },
  command: { name: "restart", operands: ["service"], options: { dependents: "--dependents" } },
  rest: [
    {
      method: "post",
      path: "/projects/{id}/services/{service}/restart",
      summary: "Replace a service's instance by a fresh one.",
    },
  ],
  run: (input, { manager, ...call }) =>
    manager.restart(
      {
        project: input.project,
        service: input.service,
        dependents: input.dependents,
        timeoutMs: input.timeout_seconds * 1000,
      },
      call,
    ),
});
