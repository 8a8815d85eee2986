/** Prometheus metrics: calls, their results, and the states of stacks. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { StackManager } from "../stack/model.js";

export interface Metrics {
  readonly contentType: string;
  /** The exposition text. Reads the states of stacks at each call. */
  text(): Promise<string>;
  /** Records the start of a call. The returned function records its result: `ok`, or the error's code. */
  readonly call: (operation: string) => (result: string) => void;
  /** Counts a request with its response status. */
  request(route: string, status: number): void;
  /** Counts the events of a manager from now on. A second call does nothing. */
  follow(manager: StackManager): void;
}

/** @param mcpSessions returns the present number of MCP sessions */
export function createMetrics(mcpSessions: () => number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const calls = new Counter({
    name: "stackwarden_operations_total",
    help: "Calls of operations by result: ok, or the error's code.",
    labelNames: ["operation", "result"],
    registers,
  });
  const duration = new Histogram({
    name: "stackwarden_operation_duration_seconds",
    help: "Duration of calls.",
    labelNames: ["operation"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  const requests = new Counter({
    name: "stackwarden_http_requests_total",
    help: "Answered requests by interface and status.",
    labelNames: ["route", "status"],
    registers,
  });
  const events = new Counter({
    name: "stackwarden_events_total",
    help: "Events of stacks by type.",
    labelNames: ["project", "type"],
    registers,
  });
  const oomKills = new Counter({
    name: "stackwarden_oom_kills_total",
    help: "Services killed for exceeding their memory limit.",
    labelNames: ["project", "service"],
    registers,
  });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const states = gauge("stackwarden_services", "Services by state.", ["project", "state"]);
  const restarts = gauge("stackwarden_service_restarts", "Restarts of a service since its stack was started.", [
    "project",
    "service",
  ]);
  const sessions = gauge("stackwarden_mcp_sessions", "MCP sessions over HTTP.");
  const memory = gauge("stackwarden_resident_memory_bytes", "Memory of the server itself.");
  const logCounter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ["project", "service"], registers });
  const logLines = logCounter("stackwarden_log_lines_total", "Lines that services printed.");
  const logBytes = logCounter("stackwarden_log_bytes_total", "Bytes that services printed.");
  const dropped = logCounter(
    "stackwarden_log_dropped_lines_total",
    "Log lines dropped: rotated off disk, or evicted from memory before they were written.",
  );
  let manager: StackManager | undefined;

  const readStates = async (from: StackManager): Promise<void> => {
    const [stacks, totals] = await Promise.all([from.list(), from.logTotals()]);
    // No await from here on, so that two concurrent readers do not mix their counts.
    for (const one of [states, restarts, logLines, logBytes, dropped]) one.reset();
    for (const { project, services } of stacks)
      for (const { service, state, restarts: count } of Object.values(services)) {
        states.inc({ project, state });
        restarts.set({ project, service }, count);
      }
    for (const { project, service, lines, bytes, dropped: lost } of totals) {
      logLines.inc({ project, service }, lines);
      logBytes.inc({ project, service }, bytes);
      dropped.inc({ project, service }, lost);
    }
  };

  return {
    contentType: registry.contentType,
    text: async () => {
      if (manager !== undefined) await readStates(manager);
      sessions.set(mcpSessions());
      memory.set(process.memoryUsage.rss());
      return registry.metrics();
    },
    call: (operation) => {
      const end = duration.startTimer({ operation });
      return (result) => {
        end();
        calls.inc({ operation, result });
      };
    },
    request: (route, status) => requests.inc({ route, status: String(status) }),
    follow: (ready) => {
      if (manager !== undefined) return;
      manager = ready;
      ready.subscribe((change) => {
        if (change.kind !== "events" || change.event === undefined) return;
        const { project, type, service, data } = change.event;
        events.inc({ project, type });
        if (type === "service_crashed" && data?.oom_killed === true) oomKills.inc({ project, service: service ?? "" });
      });
    },
  };
}
