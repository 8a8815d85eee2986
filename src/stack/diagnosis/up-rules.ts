/** Rules for services that are up: problems that their state does not show. */

import { holdsData } from "../definition/source-paths.js";
import { STANDING } from "../lifecycle/service-state.js";
import type { LogLine } from "../logs/types.js";
import { PORT_OVERRIDDEN } from "../runtime.js";
import { errorCounts, placeOf, reportsError, sinceReload } from "./error-lines.js";
import { symptomAt } from "./log-symptoms.js";
import { inContext } from "./symptom-context.js";
import type { Cause, Evidence, Facts, ServiceEvidence } from "./types.js";

type Finding = Omit<Cause, "service" | "because_of">;

/** Maximum age of lines that count as recent. */
const RECENT_MS = 5 * 60_000;
/** A check that takes longer than this, and ten times longer than the last one, probably hangs. */
const SLOW_CHECK_MS = 3_000;
const MOST_LINES = 3;

/** Printed by the official images when they initialise an empty volume. */
const INITIALISED =
  /PostgreSQL init process complete|Success\. You can now start the database server|MySQL init process done|MariaDB init process done|Initializing database files/;

export class UpRules {
  readonly #name: string;

  constructor(
    private readonly facts: Facts,
    private readonly service: ServiceEvidence,
  ) {
    this.#name = service.report.service;
  }

  find(): Finding[] {
    const { report } = this.service;
    const up = STANDING[report.state] === "up" && report.state !== "completed";
    const findings = up ? [this.#failingChecks(), this.#hangingCheck()] : [];
    // A service that waits to become healthy may have printed why it does not.
    if (up || report.state === "starting") findings.push(this.#errors());
    return [...findings, this.#port(), this.#lostData() ?? this.#emptyVolume()].filter((one) => one !== null);
  }

  #evidence(source: Evidence["source"], text: string, time: string | null = null): Evidence {
    return { source, service: this.#name, time, text };
  }

  get #input(): { project: string; service: string } {
    return { project: this.facts.project, service: this.#name };
  }

  get #own(): LogLine[] {
    const { lines, report } = this.service;
    return lines.filter(({ generation }) => generation === report.generation);
  }

  #failingChecks(): Finding | null {
    const { health } = this.service;
    const { consecutive_failures: failures } = health;
    if (failures === 0) return null;
    return {
      kind: "check_failed",
      confidence: "likely",
      explanation: `${this.#name} is still reported as ${health.status}, but its last ${failures === 1 ? "check" : `${failures} checks`} failed.`,
      evidence: [this.#evidence("health", `${health.check ?? "health check"}: ${health.message}`, health.checked_at)],
      next: {
        do: "Read its log from the time of the failed check; another failure makes it unhealthy.",
        operation: "get_logs",
        input: { ...this.#input, tail: 50 },
      },
    };
  }

  #hangingCheck(): Finding | null {
    const { checkRunningMs, health } = this.service;
    const usual = health.latency_ms ?? 0;
    if (checkRunningMs === null || checkRunningMs < Math.max(SLOW_CHECK_MS, usual * 10)) return null;
    const seconds = Math.round(checkRunningMs / 1000);
    return {
      kind: "no_answer",
      confidence: "likely",
      explanation: `${this.#name} has not answered its health check for ${seconds} s; the check before took ${usual} ms. It seems to hang.`,
      evidence: [this.#evidence("health", `${health.check ?? "health check"} has been running for ${seconds} s`)],
      next: {
        do: "Check with get_logs and get_stats what it is doing. A restart helps, but the cause is in its code.",
        operation: "restart_service",
        input: this.#input,
      },
    };
  }

  /** When the last client of a database started: errors that a database logged before may be those of its former code. */
  get #clientsStartedMs(): number {
    const { image } = this.service.report;
    if (!holdsData(image ?? undefined)) return 0;
    const clients = [...this.facts.services.values()].filter(({ report }) => report.depends_on.includes(this.#name));
    return Math.max(0, ...clients.map(({ report }) => Date.parse(report.started_at ?? "") || 0));
  }

  #errors(): Finding | null {
    const { state } = this.service.report;
    const since = Math.max(this.facts.nowMs - RECENT_MS, this.facts.sinceMs, this.#clientsStartedMs);
    const current = sinceReload(this.#own);
    const lines = current.filter((line) => Date.parse(line.time) >= since && reportsError(line));
    const [newest] = lines.slice(-1);
    if (newest === undefined) return null;
    // An older error may be fixed already, so only the newest one names the cause.
    const symptom = symptomAt(current, current.indexOf(newest));
    const place = placeOf(current, newest);
    const context = symptom === null ? null : inContext(this.facts, this.service, current, symptom);
    const { same, all } = errorCounts(current, lines);
    const count = all === 1 ? "an error" : `${all} errors`;
    const alike = same === all ? "" : `, ${same} of the newest kind`;
    const around = context?.evidence ?? [];
    const shown = [...lines.slice(-(around.length > 0 ? 1 : MOST_LINES)), ...(place === null ? [] : [place])];
    return {
      kind: symptom?.sign.kind ?? "logged_errors",
      confidence: state === "starting" && symptom !== null ? "likely" : "possible",
      explanation: `${this.#name} is ${state} and logged ${count} recently${alike}.${context === null ? "" : ` ${context.explanation}`}`,
      evidence: [...shown.map((line) => this.#evidence("log", line.text, line.time)), ...around],
      next: context?.next ?? {
        do:
          symptom === null
            ? "Read the lines around the error; the health check does not cover what failed."
            : `${symptom.sign.do} Read the lines around the error first.`,
        operation: "get_logs",
        input: { ...this.#input, tail: 50 },
      },
    };
  }

  #port(): Finding | null {
    const { report } = this.service;
    const note = report.notes.find((text) => text.startsWith(PORT_OVERRIDDEN));
    if (note === undefined) return null;
    return {
      kind: "port_overridden",
      confidence: STANDING[report.state] === "up" ? "possible" : "certain",
      explanation: `The compose file, or an env_file of it, gives ${this.#name} a PORT on which its published port does not reach it.`,
      evidence: [this.#evidence("definition", note)],
      next: {
        do: "Remove PORT from the service's environment and env_file, or set it to the container port of its `ports`, then call start_stack.",
        operation: "start_stack",
        input: { project: this.facts.project },
      },
    };
  }

  #deletedSince(time: string): boolean {
    return this.facts.events.some(
      (event) =>
        event.type === "warning" && Array.isArray(event.data?.volumes) && Date.parse(event.time) > Date.parse(time),
    );
  }

  /** A volume was observed to be empty although it had data. */
  #lostData(): Finding | null {
    const event = this.service.events.findLast(({ type }) => type === "volumes_empty");
    if (event === undefined || this.#deletedSince(event.time)) return null;
    const restored = this.facts.events.some(
      ({ type, time }) => type === "snapshot_restored" && Date.parse(time) > Date.parse(event.time),
    );
    if (restored) return null;
    return {
      kind: "volume_empty",
      confidence: "certain",
      explanation: `${event.message} It was deleted outside of stackwarden, its engine lost it (a killed Dagger engine discards its volumes), or another engine has it.`,
      evidence: [this.#evidence("event", event.message, event.time)],
      next: {
        do: "Restore a snapshot if there is one, or use the engine that ran the project before; otherwise load the data again.",
        operation: "list_snapshots",
        input: { project: this.facts.project },
      },
    };
  }

  /** The service initialised a volume although it ran before and no call deleted the volume since. */
  #emptyVolume(): Finding | null {
    const { events, report } = this.service;
    const line = this.#own.find(({ text }) => INITIALISED.test(text));
    const before = events.find(
      ({ type, data }) =>
        type === "service_healthy" || (type === "service_started" && Number(data?.generation) < report.generation),
    );
    if (line === undefined || report.generation < 2 || before === undefined) return null;
    if (Date.parse(before.time) > Date.parse(line.time)) return null;
    if (this.#deletedSince(before.time)) return null;
    return {
      kind: "volume_empty",
      confidence: "likely",
      explanation: `${this.#name} found its volume empty and initialised it, although it had run before: its former data is not there.`,
      evidence: [
        this.#evidence("log", line.text, line.time),
        this.#evidence("event", `Before: ${before.message}`, before.time),
      ],
      next: {
        do: "See the notes of list_stacks: another runtime or engine has separate volumes and may still have the data.",
        operation: "list_stacks",
        input: {},
      },
    };
  }
}
