import * as z from "zod";
import { stopOutcome } from "../stack/schemas/outcomes.js";
import { briefStop } from "./brief/changes.js";
import { defined, flag, project, serviceList, timeoutSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const stopStack = defineOperation({
  name: "stop_stack",
  title: "Stop stack",
  description: [
    "Stop every service of a project. Volumes, logs and passwords are kept.",
    "remove_volumes deletes the data in all volumes: use it only when the user asks, with confirm: true.",
    'Example: {"project": "shop"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    services: serviceList("Stop only these.").optional(),
    remove_volumes: flag("Delete the data too.").default(false),
    snapshot: flag("Save the data first.").default(true),
    forget: flag("Delete the project's data, snapshots, logs and records; its files stay.").default(false),
    confirm: flag("Required for remove_volumes and forget.").default(false),
    timeout_seconds: timeoutSeconds("Longest wait."),
  }),
  output: stopOutcome,
  brief: briefStop,
  annotations: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  command: { name: "down", operands: ["services"], options: { remove_volumes: "--volumes", confirm: "--yes" } },
  rest: [{ method: "post", path: "/projects/{id}/stop", summary: "Stop the stack. `remove_volumes` needs `confirm`." }],
  destroys: ({ project: id, remove_volumes, forget }) => {
    if (forget) return `permanently delete the data, snapshots, dependencies, logs and records of ${id}`;
    return remove_volumes ? `permanently delete the data in every volume of ${id}` : null;
  },
  run: (input, { manager, ...call }) =>
    manager.stop(
      defined({
        project: input.project,
        services: input.services,
        removeVolumes: input.remove_volumes,
        snapshot: input.snapshot,
        forget: input.forget || undefined,
        timeoutMs: input.timeout_seconds * 1000,
      }),
      call,
    ),
});
