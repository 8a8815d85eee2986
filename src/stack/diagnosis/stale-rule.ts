/** Services that run older code than their files: worth knowing beside another problem, or when a service is asked for. */
import type { Cause, Facts } from "./types.js";

const SHOWN_FILES = 3;

export function staleCauses({ services, project }: Facts): Cause[] {
  return [...services.values()].flatMap(({ report: { service, stale } }): Cause[] => {
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
