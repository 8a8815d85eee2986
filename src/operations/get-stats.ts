import * as z from "zod";
import { statsReport } from "../stack/schemas/stack.js";
import { briefStats } from "./brief/reports.js";
import { defined, flag, project, services } from "./fields.js";
import { defineOperation } from "./operation.js";

export const getStats = defineOperation({
  name: "get_stats",
  title: "Get stats",
  description: [
    "Measure CPU, memory, processes and network of running services against their limits, with throttling and OOM kills.",
    'Example: {"project": "shop", "services": ["backend"]}',
  ].join("\n"),
  input: z.strictObject({
    project,
    services: services.optional(),
    history: flag("Samples of the last hour.").default(false),
  }),
  output: statsReport,
  brief: briefStats,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  command: { name: "stats", operands: ["services"], options: {} },
  rest: [{ method: "get", path: "/projects/{id}/stats", summary: "Resource usage of services and their limits." }],
  run: (input, { manager }) =>
    manager.stats(
      defined({ project: input.project, services: input.services, history: input.history ? true : undefined }),
    ),
});
