import * as z from "zod";
import { stopOutcome } from "../stack/schemas/outcomes.js";
import { flag, project, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const stopStack = defineOperation({
  name: "stop_stack",
  title: "Stop stack",
  description: [
    "Stop every service of a project in reverse dependency order. Data in volumes, logs and passwords stay.",
    "When: the work with the stack is done. Not to restart a service: use restart_service.",
    "With remove_volumes the databases' data is deleted for good: only when the user asked for that, and with confirm: true.",
    "Stopping a stopped stack succeeds and says so.",
    "After timeout_seconds it returns status `stopping` and what to call `next`; the stop goes on.",
    "Returns {status: stopped | already_stopped | stopping, message, before, after, removed_volumes, verified}.",
    'Example: {"project": "shop"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    remove_volumes: flag("Delete the stack's data too.").default(false),
    confirm: flag("Must be true when remove_volumes is.").default(false),
    timeout_seconds: timeoutSeconds("How long to wait."),
  }),
  output: stopOutcome,
  annotations: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  destroys: (input) => (input.remove_volumes ? `the data in every volume of ${input.project}` : null),
  run: (input, { manager, ...call }) =>
    manager.stop(
      { project: input.project, removeVolumes: input.remove_volumes, timeoutMs: input.timeout_seconds * 1000 },
      call,
    ),
});
