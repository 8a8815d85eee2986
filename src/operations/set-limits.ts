import * as z from "zod";
import { limitsOutcome } from "../stack/schemas/outcomes.js";
import { briefLimits } from "./brief/changes.js";
import { cpus, flag, limitChange, memoryMb, pids, project, service } from "./fields.js";
import { inputError } from "./input-error.js";
import { defineOperation } from "./operation.js";

export const setLimits = defineOperation({
  name: "set_limits",
  title: "Set limits",
  description: [
    "Change a service's CPU, memory (MB) or process limit without a restart; kept for later starts. 0 restores the compose file's.",
    "Use it after an OOM kill or throttling (get_stats).",
    'Example: {"project": "shop", "service": "backend", "memory_mb": 768}',
  ].join("\n"),
  input: z.strictObject({
    project,
    service,
    cpus: cpus.optional(),
    memory_mb: memoryMb.optional(),
    pids: pids.optional(),
    force: flag("Try a memory limit below current usage; the kernel may refuse it.").default(false),
  }),
  output: limitsOutcome,
  brief: briefLimits,
  annotations: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  command: {
    name: "limits",
    operands: ["service"],
    options: { cpus: "--cpus", memory_mb: "--memory", pids: "--pids", force: "--force" },
  },
  rest: [{ method: "put", path: "/projects/{id}/services/{service}/limits", summary: "Change a service's limits." }],
  run: async (input, { manager, ...call }) => {
    const limits = limitChange({ cpus: input.cpus, memory_mb: input.memory_mb, pids: input.pids });
    if (Object.keys(limits).length === 0) {
      const valid = "at least one of cpus, memory_mb, pids";
      throw inputError("set_limits", [{ field: "cpus", problem: "is missing", valid }]);
    }
    return manager.setLimits({ project: input.project, service: input.service, limits, force: input.force }, call);
  },
});
