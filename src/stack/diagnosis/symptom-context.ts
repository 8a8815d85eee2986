/** What a symptom in a log means in its surroundings: the service's manifest, and commands that ran shortly before. */

import { nearest } from "../../system/nearest.js";
import type { LogLine } from "../logs/types.js";
import type { StackEvent } from "../model.js";
import { eventEvidence } from "./event-evidence.js";
import { hostNamed } from "./hosts.js";
import { findSymptom, type LogSymptom } from "./log-symptoms.js";
import type { Evidence, Facts, NextStep, ServiceEvidence } from "./types.js";

export interface SymptomContext {
  explanation: string;
  evidence: Evidence[];
  /** Null: the symptom's own step applies. */
  next: NextStep | null;
}

/** How long before an error a command counts as its probable cause. */
const SHORTLY_MS = 15 * 60_000;
/** Names of migration tools and statements that change tables. Matches in linear time. */
const CHANGES_TABLES =
  /migrat|alembic|flyway|liquibase|\b(?:prisma|drizzle-kit)\b|\b(?:drop|alter|rename|create) (?:table|column|schema|view|database)\b/i;

/** @param lines lines of the service's current instance, oldest first */
export function inContext(
  facts: Facts,
  service: ServiceEvidence,
  lines: readonly LogLine[],
  { sign, line }: { sign: LogSymptom; line: LogLine },
): SymptomContext {
  const { explanation, kind } = sign;
  const { project } = facts;
  if (kind === "missing_module") {
    const install = service.installOf(line.text);
    const next = install === null ? null : { do: install, operation: "start_stack", input: { project } };
    return { explanation, evidence: [], next };
  }
  if (kind === "name_not_found") return unknownHost(facts, service, sign, line);
  if (kind === "missing_table" && service.isAwaited)
    return {
      explanation:
        "Its SQL names a table or column that does not exist. The service is a step for which others wait, such as a migration: its statements are wrong, or in the wrong order.",
      evidence: [],
      next: {
        do: "Correct the statement of this service that names the table or column in the evidence, or let an earlier one create it. Then start the stack.",
        operation: "start_stack",
        input: { project },
      },
    };
  const change = kind === "missing_table" ? tableChange(facts, lines) : undefined;
  if (change === undefined) return { explanation, evidence: [], next: null };
  const saved = facts.events.filter(({ type, seq }) => type === "snapshot_saved" && seq < change.seq).slice(-1);
  const snapshot =
    saved.length > 0
      ? "restore the snapshot in the evidence, saved before it"
      : "restore a snapshot that was saved before it, if there is one";
  return {
    explanation: `${explanation} A command that changes tables ran shortly before: it may have removed or renamed what the code uses.`,
    evidence: [change, ...saved].map(eventEvidence),
    next: {
      do: `Compare that command with the code. Then either correct the code for the new tables, or ${snapshot}. Running migrations again does not bring back what one removed.`,
      operation: "list_snapshots",
      input: { project },
    },
  };
}

/** Names the host only where the compose file contains it: the text of a service is untrusted. */
function unknownHost(
  facts: Facts,
  { hosts, startedWithout }: ServiceEvidence,
  sign: LogSymptom,
  line: LogLine,
): SymptomContext {
  const services = [...facts.services.keys()];
  const stopped = hostNamed(line.text, [...facts.leftOut, ...startedWithout]);
  if (stopped !== undefined)
    return {
      explanation: `It connects to ${stopped}, which does not run, so its name is not known.`,
      evidence: [],
      next: {
        do: `Start ${stopped}.`,
        operation: "start_stack",
        input: { project: facts.project, ...(facts.stack.state === "stopped" ? {} : { services: [stopped] }) },
      },
    };
  const known = `Services of this stack: ${services.join(", ")}.`;
  const host = hostNamed(
    line.text,
    [...hosts.keys()].filter((name) => !services.includes(name)),
  );
  if (host === undefined) return { explanation: `${sign.explanation} ${known}`, evidence: [], next: null };
  const near = nearest(host, services);
  const variable = hosts.get(host);
  return {
    explanation: `The host name ${host}, from ${variable} of its environment, is not known. ${known}`,
    evidence: [],
    next: {
      do: `Correct ${host} in ${variable} in the compose file${near === undefined ? " to the name of a service of this stack" : ` (did you mean ${near}?)`}, then start the stack, which replaces what changed.`,
      operation: "start_stack",
      input: { project: facts.project },
    },
  };
}

/** The newest command that changes tables, when no line of the service missed one before it. */
function tableChange(facts: Facts, lines: readonly LogLine[]): StackEvent | undefined {
  const first = lines.find((line) => findSymptom([line])?.sign.kind === "missing_table");
  if (first === undefined) return undefined;
  const at = Date.parse(first.time);
  return facts.events.findLast(({ type, message, time }) => {
    const age = at - Date.parse(time);
    return type === "command_started" && age >= 0 && age <= SHORTLY_MS && CHANGES_TABLES.test(message);
  });
}
