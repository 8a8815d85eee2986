import * as z from "zod";
import { stackList } from "../stack/schemas/stack.js";
import { briefStacks } from "./brief/reports.js";
import { flag, project } from "./fields.js";
import { defineOperation } from "./operation.js";

export const listStacks = defineOperation({
  name: "list_stacks",
  title: "List stacks",
  description: ["List the known projects: id, folder, state, services, URLs.", 'Example: {"running": true}'].join("\n"),
  input: z.strictObject({
    project: project.optional(),
    running: flag("Only stacks that are not stopped.").default(false),
  }),
  output: stackList,
  brief: briefStacks,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  command: { name: "ps", options: {} },
  rest: [{ method: "get", path: "/projects", summary: "List projects with their stacks." }],
  run: async (input, { manager }) => {
    const stacks = input.project === undefined ? await manager.list() : [await manager.report(input.project)];
    return { stacks: input.running ? stacks.filter(({ state }) => state !== "stopped") : stacks };
  },
});
