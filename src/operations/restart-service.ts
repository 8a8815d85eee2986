import * as z from "zod";
import { restartOutcome } from "../stack/schemas/outcomes.js";
import { flag, project, service, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const restartService = defineOperation({
  name: "restart_service",
  title: "Restart service",
  description: [
    "Replace one service's instance by a fresh one: same data, the project's present source code, other services untouched.",
    "When: after editing a service's code or manifest, or when it hangs. Not for a changed compose file: use start_stack.",
    "Waits until healthy, at most timeout_seconds; then status `starting` and what to call `next`. dependents restarts those that depend on it.",
    "More than three restarts of one service in five minutes are refused: read get_logs and get_events for the cause instead.",
    "Returns {service, status, message, before, after, health, dependents_restarted, verified}.",
    'Example: {"project": "shop", "service": "backend"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    service,
    dependents: flag("Restart the services that depend on it too.").default(false),
    timeout_seconds: timeoutSeconds("How long to wait for health."),
  }),
  output: restartOutcome,
  annotations: { readOnly: false, destructive: false, idempotent: false, openWorld: true },
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
