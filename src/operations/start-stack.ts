import * as z from "zod";
import { startOutcome } from "../stack/schemas/outcomes.js";
import { defined, flag, folder, limitsByService, ports, profiles, project, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const startStack = defineOperation({
  name: "start_stack",
  title: "Start stack",
  description: [
    "Start a project's stack, or bring a running one in line with its compose file (unchanged services stay untouched).",
    "When: before anything else, and after the compose file changed. To restart one service use restart_service.",
    "Services come from the folder's compose.yaml, else from the built-in stack (postgres, redis, backend, frontend).",
    "They start in dependency order; by default the call waits until all are healthy and reports progress.",
    "After timeout_seconds it returns status `starting` with what is `missing` and what to call `next`; the start goes on.",
    "Calling again joins the start under way. A start that fails or is cancelled is rolled back; the error has the last log lines.",
    "Returns {status, message, before, after: {services with state, endpoints, limits}, missing, next, verified}.",
    'Example: {"project": "shop", "folder": "shop", "ports": {"backend": 8001}}',
  ].join("\n"),
  input: z.strictObject({
    project,
    folder: folder.optional(),
    profiles: profiles.optional(),
    ports: ports.optional(),
    limits: limitsByService.optional(),
    wait: flag("Wait until every service is healthy.").default(true),
    timeout_seconds: timeoutSeconds("How long to wait before the present state is returned."),
  }),
  output: startOutcome,
  annotations: { readOnly: false, destructive: false, idempotent: true, openWorld: true },
  run: (input, { manager, ...call }) =>
    manager.start(
      defined({
        project: input.project,
        folder: input.folder,
        profiles: input.profiles,
        ports: input.ports,
        limits:
          input.limits === undefined
            ? undefined
            : Object.fromEntries(Object.entries(input.limits).map(([name, limits]) => [name, defined(limits)])),
        wait: input.wait,
        timeoutMs: input.timeout_seconds * 1000,
      }),
      call,
    ),
});
