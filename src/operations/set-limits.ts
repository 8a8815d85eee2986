import * as z from "zod";
import { StackwardenError } from "../errors.js";
import { limitsOutcome } from "../stack/schemas/outcomes.js";
import { cpus, defined, flag, memoryMb, pids, project, service } from "./fields.js";
import { defineOperation } from "./operation.js";

export const setLimits = defineOperation({
  name: "set_limits",
  title: "Set limits",
  description: [
    "Change a service's CPU, memory or process limit while it runs, without a restart; kept for the next start.",
    "When: a service was OOM-killed or is throttled (get_stats), or to test how it behaves with less.",
    "At least one of cpus, memory_mb, pids; the others stay. Memory below present use is refused unless force: true",
    "(the kernel may then kill the service); so are limits above the machine.",
    "Returns {before, after} as read back from the kernel, each {value, enforcement: {level: enforced | advisory | none, reason}}; live: false when the stack is stopped.",
    'Example: {"project": "shop", "service": "backend", "cpus": 0.5, "memory_mb": 768}',
  ].join("\n"),
  input: z.strictObject({
    project,
    service,
    cpus: cpus.optional(),
    memory_mb: memoryMb.optional(),
    pids: pids.optional(),
    force: flag("Accept memory below present use.").default(false),
  }),
  output: limitsOutcome,
  annotations: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  run: async (input, { manager, ...call }) => {
    const limits = defined({ cpus: input.cpus, memory_mb: input.memory_mb, pids: input.pids });
    if (Object.keys(limits).length === 0) {
      const valid = "at least one of cpus, memory_mb, pids";
      throw new StackwardenError("INVALID_INPUT", `No limit was given; give ${valid}.`, {
        hint: 'For example {"project": "…", "service": "…", "memory_mb": 768}.',
        details: {
          operation: "set_limits",
          issues: ["cpus", "memory_mb", "pids"].map((field) => ({ field, problem: "is missing", valid })),
        },
      });
    }
    return manager.setLimits({ project: input.project, service: input.service, limits, force: input.force }, call);
  },
});
