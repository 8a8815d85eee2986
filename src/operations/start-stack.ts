import * as z from "zod";
import { startOutcome } from "../stack/schemas/outcomes.js";
import { briefStart } from "./brief/changes.js";
import {
  dataFrom,
  defined,
  flag,
  idleStop,
  idleStopMs,
  limitChange,
  limitsByService,
  ports,
  selection,
  timeoutSeconds,
} from "./fields.js";
import { defineOperation } from "./operation.js";

export const startStack = defineOperation({
  name: "start_stack",
  title: "Start stack",
  description: [
    "Start a project's stack, or apply a changed compose file to a running one; unchanged services keep running.",
    "Uses the folder's compose file, else a built-in stack (postgres, redis, backend, frontend).",
    'Waits until every service is healthy. After timeout_seconds it returns status "starting" while the start continues: make the call in `next`.',
    "A failed start is rolled back: replaced services run as before. The error has the last log lines and names what is down.",
    'Example: {"project": "shop", "folder": "shop"}',
  ].join("\n"),
  input: z.strictObject({
    ...selection,
    ports: ports.optional(),
    limits: limitsByService.optional(),
    data_from: dataFrom.optional(),
    watch: flag("Apply develop.watch.").optional(),
    idle_stop: idleStop.optional(),
    wait: flag("Wait until healthy.").default(true),
    timeout_seconds: timeoutSeconds("Longest wait."),
  }),
  output: startOutcome,
  brief: briefStart,
  annotations: { readOnly: false, destructive: false, idempotent: true, openWorld: true },
  command: {
    name: "up",
    operands: ["services"],
    options: {
      folder: "--folder",
      profiles: "--profile",
      ports: "--port",
      files: "--file",
      without: "--without",
      idle_stop: "--idle-stop",
      watch: "--watch",
    },
  },
  rest: [
    { method: "post", path: "/projects/{id}/start", summary: "Start the stack, or apply its changed definition." },
  ],
  run: (input, { manager, ...call }) =>
    manager.start(
      defined({
        project: input.project,
        folder: input.folder,
        profiles: input.profiles,
        files: input.files,
        services: input.services,
        without: input.without,
        ports: input.ports === "auto" ? undefined : input.ports,
        autoPorts: input.ports === "auto" ? true : undefined,
        limits:
          input.limits === undefined
            ? undefined
            : Object.fromEntries(Object.entries(input.limits).map(([name, limits]) => [name, limitChange(limits)])),
        dataFrom: input.data_from === undefined ? undefined : defined(input.data_from),
        watch: input.watch,
        idleStopMs: input.idle_stop === undefined ? undefined : (idleStopMs(input.idle_stop) ?? undefined),
        wait: input.wait,
        timeoutMs: input.timeout_seconds * 1000,
      }),
      call,
    ),
});
