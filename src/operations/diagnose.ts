import * as z from "zod";
import { diagnosisReport } from "../stack/schemas/diagnosis.js";
import { briefDiagnosis } from "./brief/diagnosis.js";
import { defined, moment, momentMs, project, service } from "./fields.js";
import { defineOperation } from "./operation.js";

const DEFAULT_SINCE = "1h";

export const diagnose = defineOperation({
  name: "diagnose",
  title: "Diagnose",
  description: [
    "Find out why a stack or service does not work: the most likely cause with evidence and the next step.",
    "Use it first, before reading logs. It changes and probes nothing; cause is null when none is found.",
    'Example: {"project": "shop"}',
  ].join("\n"),
  input: z.strictObject({ project, service: service.optional(), since: moment.default(DEFAULT_SINCE) }),
  output: diagnosisReport,
  brief: briefDiagnosis,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: true },
  command: { name: "diagnose", operands: ["service"], options: { since: "--since" } },
  rest: [
    {
      method: "get",
      path: "/projects/{id}/diagnosis",
      summary: "Find the most likely cause of a problem and the next step.",
    },
  ],
  run: (input, { manager, signal }) =>
    manager.diagnose(
      defined({
        project: input.project,
        service: input.service,
        sinceMs: momentMs(input.since, Date.now()) ?? undefined,
        signal,
      }),
    ),
});
