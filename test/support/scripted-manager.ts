/** A StackManager that returns scripted results and records its calls, for tests of the interfaces. */

import { StackwardenError } from "../../src/errors.js";
import type { DiagnosisReport } from "../../src/stack/diagnosis/types.js";
import type {
  CallContext,
  CommandOutcome,
  HealthOutcome,
  LimitsOutcome,
  LogReport,
  RestartOutcome,
  ServiceHealth,
  ServiceReport,
  SnapshotOutcome,
  StackChange,
  StackEvent,
  StackManager,
  StackReport,
  StartOutcome,
  StatsReport,
  StopOutcome,
} from "../../src/stack/model.js";
import type { AppliedLimits } from "../../src/stack/runtime.js";
import type { StackCheck } from "../../src/stack/schemas/check.js";

export const TIME = "2026-01-31T12:00:00.000Z";

export const LIMITS: AppliedLimits = {
  cpus: { value: 0.5, enforcement: { level: "enforced", reason: "cgroup v1" } },
  memory_mb: { value: 512, enforcement: { level: "enforced", reason: "cgroup v1" } },
  pids: { value: null, enforcement: { level: "none", reason: "not asked for" } },
};

export const stackCheck = (project: string): StackCheck => ({
  project,
  folder: `/srv/${project}`,
  startable: true,
  runtime: "local",
  files: [`/srv/${project}/compose.yaml`],
  services: [
    {
      service: "backend",
      image: "python:3.11-slim",
      build: false,
      user: "1000:1000",
      ports: [{ container_port: 8000, host_port: null }],
      depends_on: [],
    },
  ],
  without: [],
  left_out: [],
  volumes: [],
  notes: [],
  problems: [],
});

export const serviceReport = (service: string): ServiceReport => ({
  service,
  state: "healthy",
  image: "python:3.11-slim",
  generation: 1,
  restarts: 0,
  started_at: TIME,
  pid: 4711,
  user: { uid: 70_001, name: "70001", enforcement: { level: "enforced", reason: "setpriv" } },
  endpoints: [{ host: "127.0.0.1", host_port: 8000, container_port: 8000, url: "http://127.0.0.1:8000" }],
  limits: LIMITS,
  last_exit: { exit_code: null, signal: "SIGKILL", oom_killed: true, at: TIME },
  depends_on: ["postgres"],
  notes: [],
});

export const serviceHealth = (service: string): ServiceHealth => ({
  service,
  healthy: true,
  status: "healthy",
  message: "HTTP 200",
  latency_ms: 3,
  checked_at: TIME,
  check: "http GET 127.0.0.1:8000/health",
  consecutive_failures: 0,
});

export const crashEvent = (project: string, seq = 7): StackEvent => ({
  seq,
  time: TIME,
  project,
  type: "service_crashed",
  service: "backend",
  message: "backend exited with code 3",
  actor: "stackwarden",
  data: { exit_code: 3 },
});

const diagnosis = (project: string): DiagnosisReport => ({
  project,
  state: "degraded",
  overall_healthy: false,
  timestamp: TIME,
  since: TIME,
  summary: "backend crashed.",
  cause: {
    kind: "crashed",
    service: "backend",
    confidence: "possible",
    explanation: "backend crashed.",
    because_of: null,
    evidence: [{ source: "exit", service: "backend", time: TIME, text: "ended with exit code 3" }],
    next: { do: "Read its log.", operation: "get_logs", input: { project, service: "backend" } },
  },
  others: [],
  services: {
    backend: {
      state: "crashed",
      healthy: false,
      message: "Not running.",
      restarts: 2,
      crashes: 3,
      last_exit: { exit_code: 3, signal: null, oom_killed: false, at: TIME },
      depends_on: ["postgres"],
      pressure: [],
      lines: [{ seq: 2, time: TIME, stream: "stderr", generation: 1, text: "fatal" }],
    },
  },
  recent_events: [crashEvent(project)],
  omitted: { causes: 0, events: 0 },
});

export interface Call {
  method: string;
  request: unknown;
  actor?: string;
}

/** Replaces a method's fixed result. */
export type Script = Partial<{ [Method in keyof StackManager]: StackManager[Method] }>;

export interface ScriptedManager extends StackManager {
  readonly calls: Call[];
  /** Notifies every subscriber. */
  emit(change: StackChange): void;
  readonly subscribers: number;
  /** Service names by project; may be changed by a test. */
  readonly known: Map<string, string[]>;
}

const SNAPSHOT: SnapshotOutcome["snapshot"] = {
  name: "before-migration",
  created_at: TIME,
  runtime: "local",
  bytes: 12,
  volumes: { data: 12 },
  automatic: false,
};

const INPUTS: Record<string, object> = {
  list_stacks: {},
  restart_service: { project: "shop", service: "backend" },
  set_limits: { project: "shop", service: "backend", cpus: 1 },
  run_command: { project: "shop", service: "backend", command: "true" },
  restore_snapshot: { project: "shop", snapshot: "before-migration", confirm: true },
  delete_snapshot: { project: "shop", snapshot: "before-migration", confirm: true },
};

/** A valid input of an operation on the project that the manager knows. */
export const exampleInput = (operation: string): object => INPUTS[operation] ?? { project: "shop" };

export function scriptedManager(script: Script = {}): ScriptedManager {
  const calls: Call[] = [];
  const known = new Map([["shop", ["postgres", "backend"]]]);
  const listeners = new Set<(change: StackChange) => void>();
  const stack = (project: string): StackReport => ({
    project,
    folder: `/srv/${project}`,
    state: "running",
    runtime: "local",
    source: `/srv/${project}/compose.yaml`,
    started_at: TIME,
    services: Object.fromEntries((known.get(project) ?? []).map((name) => [name, serviceReport(name)])),
    notes: ["a note"],
  });
  const check = (project: string): void => {
    if (known.has(project)) return;
    throw new StackwardenError("UNKNOWN_PROJECT", `No project "${project}". Known: ${[...known.keys()].join(", ")}.`, {
      hint: "Use one of the ids listed.",
      details: { valid: [...known.keys()] },
    });
  };
  const note = (method: string, request: unknown, call?: CallContext): void => {
    const { signal: _signal, ...plain } = (request ?? {}) as Record<string, unknown>;
    calls.push({ method, request: plain, ...(call === undefined ? {} : { actor: call.actor }) });
  };
  const change = (project: string) => ({ before: stack(project), after: stack(project), verified: true, took_ms: 12 });

  const snapshotOutcome = (project: string): SnapshotOutcome => {
    check(project);
    return { project, message: "Done.", snapshot: SNAPSHOT, took_ms: 5 };
  };

  const answers: StackManager = {
    start: async ({ project }) =>
      ({
        ...change(project),
        status: "healthy",
        message: "Started.",
        missing: [],
        next: null,
        notes: [],
      }) satisfies StartOutcome,
    stop: async ({ project }) =>
      ({
        ...change(project),
        status: "stopped",
        message: "Stopped.",
        removed_volumes: [],
        next: null,
      }) satisfies StopOutcome,
    restart: async ({ service }) =>
      ({
        service,
        status: "healthy",
        message: "Restarted.",
        health: serviceHealth(service),
        dependents_restarted: [],
        next: null,
        before: serviceReport(service),
        after: serviceReport(service),
        verified: true,
        took_ms: 12,
      }) satisfies RestartOutcome,
    setLimits: async ({ service }) =>
      ({
        service,
        message: "Changed.",
        live: true,
        before: null,
        after: LIMITS,
        verified: true,
        took_ms: 3,
      }) satisfies LimitsOutcome,
    runCommand: async ({ project, service }) => {
      check(project);
      return {
        project,
        service,
        message: "Exit code 0 after 0.1 s.",
        exit_code: 0,
        signal: null,
        timed_out: false,
        oom_killed: false,
        one_off: false,
        stdout: "hello\n",
        stderr: "",
        omitted: { stdout_bytes: 12, stderr_bytes: 0, how_to_get: "Read the log." },
        took_ms: 100,
      } satisfies CommandOutcome;
    },
    saveSnapshot: async ({ project }) => snapshotOutcome(project),
    restoreSnapshot: async ({ project }) => snapshotOutcome(project),
    deleteSnapshot: async ({ project }) => snapshotOutcome(project),
    snapshots: async (project) => ({ project, snapshots: [SNAPSHOT] }),
    list: async () => [...known.keys()].map(stack),
    report: async (project) => {
      check(project);
      return stack(project);
    },
    health: async ({ project }) => {
      check(project);
      return {
        project,
        state: "degraded",
        overall_healthy: false,
        unchecked: [],
        services: { backend: { ...serviceHealth("backend"), healthy: false, error: "refused" } },
        timestamp: TIME,
        wait: null,
      } satisfies HealthOutcome;
    },
    logs: async ({ project, query }) => {
      check(project);
      return {
        project,
        services: query.services ?? known.get(project) ?? [],
        lines: [
          { seq: 1, time: TIME, service: "backend", stream: "stdout", generation: 1, text: "hello" },
          {
            seq: 2,
            time: TIME,
            service: "backend",
            stream: "stderr",
            generation: 1,
            text: "again",
            cut_from_bytes: 9000,
            repeated: { count: 3, last_seq: 4, last_time: TIME },
          },
        ],
        next_cursor: "0badcafe:4",
        line_count: 4,
        omitted: { lines: 9, reason: "tail", how_to_get: "Raise tail." },
        dropped: {},
      } satisfies LogReport;
    },
    stats: async ({ project }) =>
      ({
        project,
        timestamp: TIME,
        services: {
          backend: {
            state: "healthy",
            stats: {
              cpu_cores: 0.2,
              cpu_seconds_total: 3,
              memory_mb: 40,
              memory_peak_mb: 50,
              pids: 2,
              throttled_periods: 0,
              throttled_seconds: 0,
              oom_kills: 0,
              network_rx_bytes: null,
              network_tx_bytes: null,
              reason: "network is not counted",
            },
            limits: LIMITS,
            pressure: [],
          },
        },
      }) satisfies StatsReport,
    events: async ({ project }) => ({ project, events: [crashEvent(project)], next_cursor: 7, omitted: 0 }),
    check: async ({ project }) => {
      check(project);
      return stackCheck(project);
    },
    resolve: async ({ project }) => ({ check: stackCheck(project), model: null }),
    diagnose: async ({ project }) => {
      check(project);
      return diagnosis(project);
    },
    projects: () => [...known.keys()],
    services: (project) => known.get(project) ?? [],
    logTotals: async () => [{ project: "shop", service: "backend", lines: 12, bytes: 340, dropped: 5 }],
    runtimes: async () => [],
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    shutdown: async () => undefined,
  };

  const recorded = Object.fromEntries(
    Object.entries(answers).map(([method, answer]) => [
      method,
      (request: unknown, call?: CallContext) => {
        // Look-ups of names and subscriptions change nothing and are not recorded.
        if (!["projects", "services", "subscribe", "logTotals"].includes(method)) {
          note(method, typeof request === "object" ? request : { value: request }, call);
        }
        const run = (script as Record<string, unknown>)[method] ?? answer;
        return (run as (...args: unknown[]) => unknown)(request, call);
      },
    ]),
  ) as unknown as StackManager;
  return {
    ...recorded,
    calls,
    known,
    emit: (event) => {
      for (const listener of listeners) listener(event);
    },
    get subscribers() {
      return listeners.size;
    },
  };
}
