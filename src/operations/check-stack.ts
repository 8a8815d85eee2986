import * as z from "zod";
import { stackCheck } from "../stack/schemas/check.js";
import { briefCheck } from "./brief/check.js";
import { defined, selection } from "./fields.js";
import { defineOperation } from "./operation.js";

export const checkStack = defineOperation({
  name: "check_stack",
  title: "Check stack",
  description: [
    "Report what start_stack would run, on which runtime and ports, and what would prevent it. Starts nothing.",
    'Example: {"project": "shop", "folder": "shop"}',
  ].join("\n"),
  input: z.strictObject({
    ...selection,
  }),
  output: stackCheck,
  brief: briefCheck,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  command: {
    name: "config",
    operands: ["services"],
    options: { folder: "--folder", profiles: "--profile", files: "--file", without: "--without" },
  },
  rest: [
    {
      method: "post",
      path: "/projects/{id}/check",
      summary: "Report what a start would run and what would prevent it. Starts nothing.",
    },
  ],
  run: (input, { manager }) => manager.check(defined(input)),
});
