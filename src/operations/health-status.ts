import * as z from "zod";
import { healthOutcome } from "../stack/schemas/stack.js";
import { defined, flag, oneOf, project, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const healthStatus = defineOperation({
  name: "health_status",
  title: "Health status",
  description: [
    "Report the health of every service of a project. Health checks run all the time, so the answer is at hand and costs nothing.",
    "When: after a start, a restart or a code change, and first when something fails. Then get_logs of what is unhealthy.",
    "wait_for waits until all are healthy (or the stack is stopped), at most timeout_seconds; running out of time is no error, see `wait`.",
    "fresh makes every check now instead of reporting the last one.",
    "Returns {overall_healthy, state, services: {name: {healthy, status, message, error, latency_ms, checked_at}}, wait, timestamp}.",
    'Example: {"project": "shop", "wait_for": "healthy", "timeout_seconds": 30}',
  ].join("\n"),
  input: z.strictObject({
    project,
    wait_for: oneOf(["healthy", "stopped"], "Return when this is so.").optional(),
    timeout_seconds: timeoutSeconds("How long wait_for waits."),
    fresh: flag("Check now.").default(false),
  }),
  output: healthOutcome,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: true },
  run: (input, { manager, ...call }) =>
    manager.health(
      defined({
        project: input.project,
        fresh: input.fresh,
        waitFor: input.wait_for,
        timeoutMs: input.timeout_seconds * 1000,
      }),
      call,
    ),
});
