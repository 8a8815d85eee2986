/** The most likely cause of a problem, with the evidence and the next steps. Hidden while there is no problem. */
import { h, setText } from "./dom.js";
import type { DataSource } from "./source.js";
import type { Cause, StackReport } from "./types.js";

/** Longest time before the diagnosis is requested again while the state stays the same. */
const AGAIN_MS = 15_000;
const SHOWN_EVIDENCE = 3;
const SHOWN_OTHERS = 2;
/** States that need no diagnosis. */
const NO_FAULT = new Set(["idle_stop", "starting", "stopped", "never_started", "recovered"]);

export interface DiagnosisPanel {
  element: HTMLElement;
  /**
   * Requests a diagnosis when the state calls for one.
   * @throws Failure
   */
  look(source: DataSource, stack: StackReport, signal: AbortSignal): Promise<void>;
  clear(): void;
}

export function createDiagnosisPanel(): DiagnosisPanel {
  const explanation = h("p");
  const more = h("p", { class: "hint" });
  const evidence = h("ul");
  const next = h("p");
  const element = h(
    "section",
    { class: "panel diagnosis", "aria-label": "Diagnosis", hidden: true },
    h("h2", {}, "What is wrong"),
    explanation,
    evidence,
    next,
    more,
  );
  let requestedState = "";
  let askedAt = 0;
  /** Project of the pending request; a response for another project is discarded. */
  let waiting: string | null = null;

  const show = (cause: Cause | null, others: readonly Cause[]): void => {
    element.hidden = cause === null || NO_FAULT.has(cause.kind);
    if (cause === null) return;
    const { confidence, because_of: root } = cause;
    setText(
      explanation,
      `${confidence === "certain" ? "" : `${confidence === "likely" ? "Likely" : "Possibly"}: `}${cause.explanation}`,
    );
    evidence.replaceChildren(
      ...cause.evidence
        .slice(0, SHOWN_EVIDENCE)
        .map(({ source, service, text }) =>
          h(
            "li",
            {},
            h("span", { class: "hint" }, `${[service, source].filter((part) => part !== null).join(" ")} `),
            text,
          ),
        ),
    );
    setText(next, `Next: ${cause.next.do}`);
    const also = others.slice(0, SHOWN_OTHERS).map((other) => other.explanation);
    setText(
      more,
      [root === null ? [] : `Because of ${root}.`, ...(also.length > 0 ? ["Also:", ...also] : [])].flat().join(" "),
    );
  };
  const clear = (): void => {
    requestedState = "";
    waiting = null;
    show(null, []);
  };

  return {
    element,
    look: async (source, { project, state, services }, signal) => {
      if (state === "running" || state === "stopping") return clear();
      const currentState = JSON.stringify([
        project,
        state,
        Object.values(services).map((one) => [one.state, one.generation, one.last_exit?.at]),
      ]);
      if (currentState === requestedState && (state === "stopped" || Date.now() - askedAt < AGAIN_MS)) return;
      waiting = project;
      const { cause, others } = await source.call("diagnose", { project }, signal);
      if (signal.aborted || waiting !== project) return;
      requestedState = currentState;
      askedAt = Date.now();
      show(cause, others);
    },
    clear,
  };
}
