import * as z from "zod";
import { stackCheck } from "../stack/schemas/check.js";
import { briefCheck } from "./brief/check.js";
import { defined, files, folder, profiles, project, serviceList } from "./fields.js";
import { defineOperation } from "./operation.js";

export const checkStack = defineOperation({
  name: "check_stack",
  title: "Check stack",
  description: [
    "Say what start_stack would run, on which runtime, with which ports, and what stands in the way. Starts nothing.",
    'Example: {"project": "shop", "folder": "shop"}',
  ].join("\n"),
  input: z.strictObject({
    project,
    folder: folder.optional(),
    profiles: profiles.optional(),
    files: files.optional(),
    services: serviceList("These and what they need.").optional(),
    without: serviceList("Leave these out.").optional(),
  }),
  output: stackCheck,
  brief: briefCheck,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  run: (input, { manager }) => manager.check(defined(input)),
});
