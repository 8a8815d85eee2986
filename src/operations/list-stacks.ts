import * as z from "zod";
import { defineOperation } from "./operation.js";
import { stackReport } from "./outputs.js";

export const listStacks = defineOperation({
  name: "list_stacks",
  title: "List stacks",
  description: ["List the known projects: id, folder, state, services, URLs.", "Example: {}"].join("\n"),
  input: z.strictObject({}),
  output: z.object({ stacks: z.array(stackReport) }),
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: async (_input, { manager }) => ({ stacks: await manager.list() }),
});
