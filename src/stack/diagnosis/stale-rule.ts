/** Services that run older code than their files: worth knowing beside another problem, or when a service is asked for. */
import type { Staleness } from "../schemas/service.js";
import { lastStartFailed } from "./stack-rules.js";
import type { Cause, Facts, ServiceEvidence } from "./types.js";

const SHOWN_FILES = 3;

/**
 * The start that applies the change has failed with it. Its own cause says what to correct first.
 */
const hasFailed = ({ events }: Facts, { fix, changed_at }: Staleness): boolean => {
  const failed = lastStartFailed(events);
  return fix === "start_stack" && failed !== undefined && Date.parse(failed.time) >= Date.parse(changed_at);
};

/** How a service is stale, when its `fix` can help. */
export function staleOf(facts: Facts, { report: { stale } }: ServiceEvidence): Staleness | undefined {
  return stale === undefined || hasFailed(facts, stale) ? undefined : stale;
}

export function staleCauses(facts: Facts): Cause[] {
  const { services, project } = facts;
  return [...services.values()].flatMap((evidence): Cause[] => {
    const { service } = evidence.report;
    const stale = staleOf(facts, evidence);
    if (stale === undefined) return [];
    const { files, fix, changed_at: time, reason } = stale;
    const shown = files.slice(0, SHOWN_FILES).join(", ");
    const more = files.length > SHOWN_FILES ? `, and ${files.length - SHOWN_FILES} more` : "";
    return [
      {
        kind: "stale_code",
        service,
        confidence: "possible",
        explanation: `${service} runs code or settings from before its files were edited.`,
        because_of: null,
        evidence: [
          {
            source: "definition",
            service,
            time,
            text: files.length > 0 ? `edited after start: ${shown}${more}` : reason,
          },
        ],
        next: {
          do: `${fix} applies the change.`,
          operation: fix,
          input: fix === "start_stack" ? { project } : { project, service },
        },
      },
    ];
  });
}
