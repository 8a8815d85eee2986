import * as z from "zod";
import { stackList } from "../stack/schemas/stack.js";
import { defineOperation } from "./operation.js";

export const listStacks = defineOperation({
  name: "list_stacks",
  title: "List stacks",
  description: ["List the known projects: id, folder, state, services, URLs.", "Example: {}"].join("\n"),
  input: z.strictObject({}),
  output: stackList,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: async (_input, { manager }) => ({ stacks: await manager.list() }),
});
