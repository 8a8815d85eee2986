/**
 * Compact answer of diagnose for agents: causes with their evidence and one line for each service. Events are included
 * only when something is wrong.
 */
import * as z from "zod";
import type { Cause, DiagnosedService, DiagnosisReport } from "../../stack/diagnosis/types.js";
import { briefEvents } from "./reports.js";
import { withoutEmpty } from "./service-line.js";

/** Newest events in the answer; get_events has the others. */
const MOST_EVENTS = 8;

/** Causes of a stack that does not run and has no fault. */
const IDLE = new Set<Cause["kind"]>(["idle_stop", "stopped", "never_started"]);

const text = z.string();
const cause = z.record(z.string(), z.unknown());

export const briefDiagnosis = {
  output: z.object({
    project: text,
    state: text,
    overall_healthy: z.boolean(),
    summary: text,
    cause: cause.nullable(),
    others: z.array(cause).optional(),
    services: z.record(z.string(), text),
    lines: z.record(z.string(), z.array(text)).optional(),
    recent_events: z.array(text).optional(),
    omitted: z.unknown().optional(),
  }),
  of: (report: DiagnosisReport) => {
    const { project, state, overall_healthy, summary, cause: main, others, services, recent_events, omitted } = report;
    // A failed start also leaves a stopped stack.
    const wrong = main !== null && !IDLE.has(main.kind);
    const lines = Object.entries(services).map(
      ([name, service]) => [name, service.lines.map((line) => line.text)] as const,
    );
    const events = briefEvents.of({
      project,
      events: recent_events.slice(-MOST_EVENTS),
      next_cursor: 0,
      omitted: 0,
    }).events;
    return {
      project,
      state,
      overall_healthy,
      summary,
      cause: main === null ? null : briefCause(main),
      ...withoutEmpty({ others: others.map(briefCause) }),
      services: Object.fromEntries(Object.entries(services).map(([name, service]) => [name, diagnosedLine(service)])),
      ...withoutEmpty({
        lines: wrong ? Object.fromEntries(lines.filter(([, serviceLines]) => serviceLines.length > 0)) : null,
        recent_events: wrong ? events : null,
        omitted: omitted.causes > 0 ? { causes: omitted.causes } : null,
      }),
    };
  },
};

const briefCause = ({ kind, service, confidence, explanation, because_of, evidence, next }: Cause) =>
  withoutEmpty({
    kind,
    service,
    confidence,
    explanation,
    because_of,
    evidence: evidence.map((one) => `${one.source}: ${one.text}`),
    next: withoutEmpty({ ...next }),
  });

function diagnosedLine({ state, message, restarts, crashes, pressure }: DiagnosedService): string {
  const counts = [...(crashes > 0 ? [`crashes: ${crashes}`] : []), ...(restarts > 0 ? [`restarts: ${restarts}`] : [])];
  return [`${state}: ${message}`, ...counts, ...pressure].join("; ");
}
