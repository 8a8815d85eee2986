/** Prometheus metrics: what was called, how it went, and what state the stacks are in. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AnyOperation } from "../operations/index.js";
import { toStackwardenError } from "../stack/errors.js";
import type { StackManager } from "../stack/model.js";

export interface Metrics {
  readonly contentType: string;
  /** The exposition text. States are read when it is asked for. */
  text(): Promise<string>;
  /** The same operation, counted and timed. */
  measured(operation: AnyOperation): AnyOperation;
  /** Counts the events of a manager. */
  follow(manager: StackManager): void;
}

export function createMetrics(): Metrics {
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
  const states = new Gauge({
    name: "stackwarden_services",
    help: "Services by state.",
    labelNames: ["project", "state"],
    registers,
  });
  const restarts = new Gauge({
    name: "stackwarden_service_restarts",
    help: "Restarts of a service since its stack was started.",
    labelNames: ["project", "service"],
    registers,
  });
  let manager: StackManager | undefined;
  const known = new WeakMap<AnyOperation, AnyOperation>();

  return {
    contentType: registry.contentType,
    text: async () => {
      states.reset();
      restarts.reset();
      for (const { project, services } of (await manager?.list()) ?? [])
        for (const { service, state, restarts: count } of Object.values(services)) {
          states.inc({ project, state });
          restarts.set({ project, service }, count);
        }
      return registry.metrics();
    },
    measured: (operation) => {
      const made = known.get(operation);
      if (made !== undefined) return made;
      const measured: AnyOperation = {
        ...operation,
        run: async (input, context) => {
          const end = duration.startTimer({ operation: operation.name });
          let result = "ok";
          try {
            return await operation.run(input, context);
          } catch (error) {
            result = toStackwardenError(error).code;
            throw error;
          } finally {
            end();
            calls.inc({ operation: operation.name, result });
          }
        },
      };
      known.set(operation, measured);
      return measured;
    },
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
