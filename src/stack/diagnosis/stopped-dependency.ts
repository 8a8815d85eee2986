/** A service that does not run although services with problems use it: a call left it out, or it was not started. */
import { hostNamed } from "./hosts.js";
import type { Cause, CauseKind, Facts, ServiceEvidence } from "./types.js";

/** Causes that point to another service. */
const CONNECTING = new Set<CauseKind>(["connection_refused", "name_not_found"]);
/** Causes that a service has also because another one does not run, when nothing names a more specific reason. */
const VAGUE = new Set<CauseKind>(["check_failed", "logged_errors", "no_answer", "not_listening"]);
const FAILED_CHECK = new Set<CauseKind>(["check_failed", "no_answer"]);
/** Causes that a service with a connecting one has because of the same service. */
const EXPLAINED = new Set<CauseKind>([...CONNECTING, ...VAGUE, "crashed", "dependency_down", "recovered"]);

/**
 * @param causes of the services
 * @returns the causes, those that a stopped service explains with a reference to it, and a cause for each such service
 */
export function withStoppedDependencies(facts: Facts, causes: readonly Cause[]): Cause[] {
  const { state } = facts.stack;
  if (state === "starting" || state === "lost") return [...causes];
  const leftOut = leftOutServices(facts);
  // In a stack that does not run, each service is stopped.
  const idle = state === "stopped" ? [] : stoppedServices(facts);
  if (leftOut.length + idle.length === 0) return [...causes];
  /** The stopped service that explains the problems of a service, by that service. */
  const reasons = new Map<string, string>();
  const certain = new Set<string>();
  for (const [name, service] of facts.services) {
    const own = causes.filter((cause) => cause.service === name);
    // A stopped service of the stack may wait for this one: only what it waits for counts.
    const waitsFor = idle.filter((other) => service.report.depends_on.includes(other));
    const failsAlone = own.every(({ because_of }) => because_of === null);
    const used = [...leftOut.filter((other) => uses(service, other)), ...(failsAlone ? waitsFor : [])];
    const connecting = own
      .filter(({ kind }) => CONNECTING.has(kind))
      .map((cause) => unreachable(facts, cause, { used, stopped: [...leftOut, ...used] }))
      .find((one) => one !== undefined);
    const vague =
      failsAlone && own.some(({ kind }) => FAILED_CHECK.has(kind)) && own.every(({ kind }) => VAGUE.has(kind));
    const reason = connecting ?? (vague ? used[0] : undefined);
    if (reason === undefined) continue;
    reasons.set(name, reason);
    if (connecting !== undefined) certain.add(connecting);
  }
  const explained = causes.map((cause) => {
    const reason = cause.service === null ? undefined : reasons.get(cause.service);
    return reason !== undefined && EXPLAINED.has(cause.kind) ? { ...cause, because_of: reason } : cause;
  });
  const named = [...new Set(reasons.values())];
  return [
    ...named.map((name) => stoppedCause(facts, name, { reasons, explained, certain: certain.has(name) })),
    ...explained,
  ];
}

/** Also those that a failed start left out: after it, no service is part of a running stack. */
const leftOutServices = ({ leftOut, services }: Facts): string[] => {
  const started = [...services.values()].flatMap(({ startedWithout }) => startedWithout);
  return [...new Set([...leftOut, ...started])].filter((name) => !services.has(name));
};

const stoppedServices = ({ services }: Facts): string[] =>
  [...services].flatMap(([name, { report, failedStart }]) =>
    report.state === "stopped" && !failedStart ? [name] : [],
  );

const uses = ({ startedWithout, hosts }: ServiceEvidence, name: string): boolean =>
  startedWithout.includes(name) || hosts.has(name);

/** The stopped service that this cause's service did not reach; undefined when the line names another one. */
function unreachable(
  { services }: Facts,
  { kind, evidence }: Cause,
  { used, stopped }: { used: readonly string[]; stopped: readonly string[] },
): string | undefined {
  const line = evidence.find(({ source }) => source === "log")?.text ?? "";
  const named = hostNamed(line, stopped);
  if (named !== undefined || kind === "name_not_found") return named;
  // The address of a service that runs is not that of a stopped one.
  const runs = [...services.values()].some(({ report }) =>
    used.includes(report.service)
      ? false
      : report.endpoints.some(({ host_port, container_port }) =>
          [host_port, container_port].some((port) => line.includes(`:${port}`)),
        ),
  );
  return runs ? undefined : used[0];
}

function stoppedCause(
  facts: Facts,
  name: string,
  {
    reasons,
    explained,
    certain,
  }: { reasons: ReadonlyMap<string, string>; explained: readonly Cause[]; certain: boolean },
): Cause {
  const users = [...reasons].flatMap(([user, reason]) => (reason === name ? [user] : []));
  const { project } = facts;
  const runs = facts.stack.state !== "stopped";
  const isLeftOut = leftOutServices(facts).includes(name);
  const observed = isLeftOut ? `${name} is not part of the running stack` : `${name} is stopped`;
  const signs = users.flatMap((user) => {
    const own = explained.filter(({ service, because_of }) => service === user && because_of === name);
    const sign = own.find(({ kind }) => CONNECTING.has(kind)) ?? own[0];
    return sign?.evidence.slice(0, 1) ?? [];
  });
  return {
    kind: "dependency_down",
    service: name,
    confidence: certain ? "certain" : "likely",
    explanation: `${name}, on which ${users.join(" and ")} ${users.length === 1 ? "depends" : "depend"}, is stopped${isLeftOut ? " (left out by a call)" : ""}.`,
    because_of: null,
    evidence: [{ source: "health", service: name, time: null, text: `${observed}.` }, ...signs],
    next: runs
      ? { do: `Start ${name}.`, operation: "start_stack", input: { project, services: [name] } }
      : { do: `Start the stack with ${name}.`, operation: "start_stack", input: { project } },
  };
}
