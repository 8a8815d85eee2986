import * as z from "zod";
import { healthOutcome } from "../stack/schemas/stack.js";
import { briefHealth } from "./brief/reports.js";
import { defined, flag, oneOf, project, services, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const healthStatus = defineOperation({
  name: "health_status",
  title: "Health status",
  description: [
    "Report the health of every service from its latest checks. Use it after a change and when something fails. stale: files changed since the instance started.",
    "wait_for waits for the condition; on timeout the call still succeeds with wait.met false.",
    'Example: {"project": "shop", "wait_for": "healthy"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    services: services.optional(),
    wait_for: oneOf(["healthy", "stopped"], "Wait for this state.").optional(),
    timeout_seconds: timeoutSeconds("Longest wait."),
    fresh: flag("Run the checks now.").default(false),
  }),
  output: healthOutcome,
  brief: briefHealth,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: true },
  command: { name: "health", options: { wait_for: "--wait", timeout_seconds: "--timeout", fresh: "--fresh" } },
  rest: [{ method: "get", path: "/projects/{id}/health", summary: "Health of every service." }],
  run: (input, { manager, ...call }) =>
    manager.health(
      defined({
        project: input.project,
        services: input.services,
        fresh: input.fresh,
        waitFor: input.wait_for,
        timeoutMs: input.timeout_seconds * 1000,
      }),
      call,
    ),
});
