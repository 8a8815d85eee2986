import * as z from "zod";
import { defineOperation } from "./operation.js";
import { stackReport } from "./outputs.js";

export const listStacks = defineOperation({
  name: "list_stacks",
  title: "List stacks",
  description: [
    "List every known project with its stack's state, runtime, services and endpoints.",
    "When: to find a project's id, its URLs, or what is running. For health use health_status.",
    "Takes no arguments. Returns {stacks: [{project, folder, state, runtime, services: {name: {state, endpoints, limits, restarts}}}]}.",
    "Example: {}",
  ].join("\n"),
  input: z.strictObject({}),
  output: z.object({ stacks: z.array(stackReport) }),
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: async (_input, { manager }) => ({ stacks: await manager.list() }),
});
