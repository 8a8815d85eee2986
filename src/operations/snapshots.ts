import * as z from "zod";
import { snapshotList, snapshotOutcome } from "../stack/schemas/snapshots.js";
import { defined, flag, project, serviceName, snapshotName } from "./fields.js";
import { defineOperation } from "./operation.js";

export const saveSnapshot = defineOperation({
  name: "save_snapshot",
  title: "Save snapshot",
  description: [
    "Save the data of a project's named volumes, for example before a migration. Services are paused during the copy.",
    'Example: {"project": "shop", "name": "before-migration"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    name: snapshotName.optional(),
    service: serviceName("Only its volumes.").optional(),
  }),
  output: snapshotOutcome,
  annotations: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
  command: { name: "snapshot save", operands: ["name"], options: { service: "--service" } },
  rest: [
    { method: "post", path: "/projects/{id}/snapshots", summary: "Save the data of the project's named volumes." },
  ],
  run: ({ project: id, name, service: one }, { manager, ...call }) =>
    manager.saveSnapshot({ project: id, ...defined({ name, service: one }) }, call),
});

export const restoreSnapshot = defineOperation({
  name: "restore_snapshot",
  title: "Restore snapshot",
  description: [
    "Replace the data of a stopped stack with a snapshot. The current data is saved first. Needs confirm: true.",
    'Example: {"project": "shop", "snapshot": "before-migration", "confirm": true}',
  ].join("\n"),
  input: z.strictObject({ project, snapshot: snapshotName, confirm: flag("").default(false) }),
  output: snapshotOutcome,
  annotations: { readOnly: false, destructive: true, idempotent: false, openWorld: false },
  command: { name: "snapshot restore", operands: ["snapshot"], options: { confirm: "--yes" } },
  rest: [
    {
      method: "post",
      path: "/projects/{id}/snapshots/{snapshot}/restore",
      summary: "Replace the data of a stopped stack. Needs `confirm`.",
    },
  ],
  destroys: (input) => `replace the current data in the snapshot's volumes of ${input.project}`,
  run: ({ project: id, snapshot }, { manager, ...call }) => manager.restoreSnapshot({ project: id, snapshot }, call),
});

export const listSnapshots = defineOperation({
  name: "list_snapshots",
  title: "List snapshots",
  description: ["List a project's snapshots, the oldest first.", 'Example: {"project": "shop"}'].join("\n"),
  input: z.strictObject({ project }),
  output: snapshotList,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  command: { name: "snapshot list", options: {} },
  rest: [{ method: "get", path: "/projects/{id}/snapshots", summary: "List the project's snapshots." }],
  run: (input, { manager }) => manager.snapshots(input.project),
});

export const deleteSnapshot = defineOperation({
  name: "delete_snapshot",
  title: "Delete snapshot",
  description: [
    "Delete a snapshot. Needs confirm: true.",
    'Example: {"project": "shop", "snapshot": "before-migration", "confirm": true}',
  ].join("\n"),
  input: z.strictObject({ project, snapshot: snapshotName, confirm: flag("").default(false) }),
  output: snapshotOutcome,
  annotations: { readOnly: false, destructive: true, idempotent: false, openWorld: false },
  command: { name: "snapshot delete", operands: ["snapshot"], options: { confirm: "--yes" } },
  rest: [
    {
      method: "post",
      path: "/projects/{id}/snapshots/{snapshot}/delete",
      summary: "Delete a snapshot. Needs `confirm`.",
    },
  ],
  destroys: (input) => `permanently delete the snapshot ${input.snapshot} of ${input.project}`,
  run: ({ project: id, snapshot }, { manager, ...call }) => manager.deleteSnapshot({ project: id, snapshot }, call),
});
