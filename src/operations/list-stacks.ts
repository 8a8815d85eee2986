import * as z from "zod";
import { stackList } from "../stack/schemas/stack.js";
import { defineOperation } from "./operation.js";

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
  output: stackList,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: async (_input, { manager }) => ({ stacks: await manager.list() }),
});
