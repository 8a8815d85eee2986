import * as z from "zod";
import { statsReport } from "../stack/schemas/stack.js";
import { asList, defined, project, services } from "./fields.js";
import { defineOperation } from "./operation.js";

export const getStats = defineOperation({
  name: "get_stats",
  title: "Get stats",
  description: [
    "Measure CPU, memory, processes and network of a project's running services against their limits, with throttling and OOM kills.",
    "When: a service is slow or was killed, or before set_limits. For health use health_status.",
    "Returns {services: {name: {state, stats: {cpu_cores, memory_mb, memory_peak_mb, pids, throttled_seconds, oom_kills, …}, limits, pressure: [what is short]}}}.",
    "A field that the machine cannot measure is null, with the reason.",
    'Example: {"project": "shop", "services": ["backend"]}',
  ].join("\n"),
  input: z.strictObject({ project, services: services.optional() }),
  output: statsReport,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: (input, { manager }) => manager.stats(defined({ project: input.project, services: asList(input.services) })),
});
