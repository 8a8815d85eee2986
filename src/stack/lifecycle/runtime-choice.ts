/** Chooses the runtime for a stack, with the reason. */

import { StackwardenError } from "../../errors.js";
import { hint, setting } from "../../hint.js";
import type { Availability, RuntimeName, StackRuntime } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import { DEFAULT_RUNTIME, RUNTIMES } from "../vocabulary.js";

export interface RuntimeChoice {
  runtime: StackRuntime;
  /** The choice and its reason, for reports. */
  reason: string;
}

const missing = (status: Availability): string[] =>
  status.findings
    .filter((finding) => !finding.ok)
    .map((finding) => `${finding.message}${finding.fix === undefined ? "" : ` (${finding.fix})`}`);

/** Findings as one part of a sentence. */
const withoutStop = (missing: readonly string[]): string => missing.join("; ").replace(/\.$/, "");

function unavailable(name: RuntimeName, missing: string[], names: RuntimeName[]): StackwardenError {
  return new StackwardenError(
    "RUNTIME_UNAVAILABLE",
    `The runtime ${name} cannot be used here${missing.length > 0 ? `: ${withoutStop(missing)}` : ""}.`,
    {
      hint: hint`Run \`stackwarden doctor\` to see what is missing, or have the operator choose another ${setting("runtime")}: auto, ${names.join(", ")}.`,
      details: { runtime: name, missing },
    },
  );
}

/**
 * `auto` takes the first of `RUNTIMES` that is available.
 * @throws RUNTIME_UNAVAILABLE with the missing prerequisites and how to install them
 */
export async function chooseRuntime(
  settings: StackSettings,
  runtimes: readonly StackRuntime[],
  project?: string,
): Promise<RuntimeChoice> {
  const configured = settings.runtime;
  const runtimeNames = runtimes.map((runtime) => runtime.name);
  const candidates =
    configured === "auto"
      ? [...runtimes].sort((a, b) => RUNTIMES.indexOf(a.name) - RUNTIMES.indexOf(b.name))
      : runtimes.filter((runtime) => runtime.name === configured);
  let later: RuntimeChoice | null = null;
  const refused: { name: RuntimeName; missing: string[] }[] = [];
  for (const runtime of candidates) {
    const status = await (runtime.availability?.(project, settings) ?? runtime.check(project, settings));
    if (status.available && status.downloads !== undefined && configured === "auto") {
      later ??= { runtime, reason: `Runtime ${runtime.name} (no other one is available. ${status.downloads})` };
      refused.push({ name: runtime.name, missing: [status.downloads] });
      continue;
    }
    if (status.available) {
      const others = refused.map(({ name }) =>
        later?.runtime.name === name ? `${name} would be downloaded first` : `${name} is not available here`,
      );
      const why =
        configured !== "auto"
          ? "configured"
          : others.length === 0
            ? "the first that is available"
            : `${others.join(", ")}; \`stackwarden doctor\` says why`;
      return { runtime, reason: `Runtime ${runtime.name} (${why}).` };
    }
    refused.push({ name: runtime.name, missing: missing(status) });
  }
  if (later !== null) return later;
  const last = refused.at(-1);
  throw unavailable(
    last?.name ?? (configured === "auto" ? DEFAULT_RUNTIME : configured),
    last?.missing ?? ["this build has no such runtime"],
    runtimeNames,
  );
}
