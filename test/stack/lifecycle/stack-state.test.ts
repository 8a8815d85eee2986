/** States, messages and results that are derived from services agree. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startOutcome } from "../../../src/stack/lifecycle/results.js";
import { mayFollow, STANDING, TRANSITIONS, WatchedState } from "../../../src/stack/lifecycle/service-state.js";
import {
  missingServices,
  overallHealthy,
  type Reached,
  restartStatus,
  type StackPhase,
  stackState,
  uncheckedServices,
} from "../../../src/stack/lifecycle/stack-state.js";
import type { HealthReport, StackReport } from "../../../src/stack/model.js";
import { SERVICE_STATES, type ServiceState } from "../../../src/stack/vocabulary.js";

const PHASES = ["closed", "starting", "open", "stopping", "lost"] as const satisfies readonly StackPhase[];
const REACHED = [null, "started", "unchanged", "reconciled"] as const satisfies readonly (Reached | null)[];

const anyState = fc.constantFrom(...SERVICE_STATES);
const anyStack = fc.record({
  phase: fc.constantFrom(...PHASES),
  reached: fc.constantFrom(...REACHED),
  states: fc.array(anyState, { minLength: 1, maxLength: 6 }),
});

const report = (state: StackReport["state"]): StackReport => ({
  project: "shop",
  folder: "/shop",
  state,
  runtime: "local",
  source: "compose.yaml",
  started_at: null,
  services: {},
  notes: [],
});

function observe(phase: StackPhase, reached: Reached | null, states: readonly ServiceState[]) {
  const services = states.map((status, index) => ({
    service: `s${index}`,
    status,
    healthy: null,
    message: `it is ${status}.`,
    latency_ms: null,
    checked_at: null,
    check: null,
    consecutive_failures: 0,
  }));
  const state = stackState(phase, states);
  const health: HealthReport = {
    project: "shop",
    state,
    overall_healthy: overallHealthy(state),
    unchecked: uncheckedServices(services),
    services: Object.fromEntries(services.map((one) => [one.service, one])),
    timestamp: "",
  };
  const outcome = startOutcome({
    project: "shop",
    reached,
    changes: [],
    data: null,
    health,
    unapplied: [],
    known: [],
    leftOut: [],
    missingDependencies: {},
    before: report("stopped"),
    after: report(state),
    begun: 0,
  });
  return { state, health, outcome };
}

describe("stackState, startOutcome and restartStatus (properties)", () => {
  it("a stack is starting only while a service starts or a change can start one", () => {
    fc.assert(
      fc.property(anyStack, fc.boolean(), ({ states }, changing) => {
        const coming = states.some((one) => ["pending", "starting", "stopping"].includes(one));
        const state = stackState("open", states, changing);
        if (state === "starting") expect(coming || (changing && states.includes("stopped"))).toBe(true);
        if (states.includes("stopped") && !changing) expect(state).toBe("degraded");
      }),
      { numRuns: 2000 },
    );
  });

  it("state, overall_healthy and verified agree for every combination of states", () => {
    fc.assert(
      fc.property(anyStack, ({ phase, reached, states }) => {
        const { state, health, outcome } = observe(phase, reached, states);
        const allUp = states.every((one) => ["healthy", "running", "completed"].includes(one));
        expect(health.overall_healthy).toBe(phase === "open" && allUp);
        expect(outcome.verified).toBe(health.overall_healthy);
        expect(outcome.verified).toBe(state === "running");
        if (phase === "open") expect(outcome.missing.length === 0).toBe(outcome.verified);
      }),
      { numRuns: 2000 },
    );
  });

  it("a start's status is a success exactly when the start is verified", () => {
    fc.assert(
      fc.property(anyStack, ({ phase, reached, states }) => {
        const { outcome } = observe(phase, reached, states);
        const success = ["healthy", "running", "already_running", "reconciled"].includes(outcome.status);
        expect(success).toBe(outcome.verified);
        if (!success) expect(outcome.next).not.toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  it("no message says that every service is healthy unless each one is checked and healthy", () => {
    fc.assert(
      fc.property(anyStack, ({ phase, reached, states }) => {
        const { outcome, health } = observe(phase, reached, states);
        const claims = /every service is healthy/i.test(outcome.message);
        if (claims) expect(states.every((one) => one === "healthy" || one === "completed")).toBe(true);
        if (outcome.status === "healthy") expect(health.unchecked).toEqual([]);
        for (const service of health.overall_healthy ? health.unchecked : [])
          expect(outcome.message).toContain(service);
        for (const { service } of phase === "open" ? outcome.missing : []) expect(outcome.message).toContain(service);
      }),
      { numRuns: 2000 },
    );
  });

  it("every service is either missing or up", () => {
    fc.assert(
      fc.property(anyStack, ({ phase, reached, states }) => {
        const { health } = observe(phase, reached, states);
        const services = Object.values(health.services);
        const missing = missingServices(services).map(({ service }) => service);
        const up = services.filter(({ status }) => STANDING[status] === "up").map(({ service }) => service);
        expect([...missing, ...up].sort()).toEqual(Object.keys(health.services).sort());
      }),
    );
  });

  it("a restart's status is a success only when the service is up", () => {
    for (const state of SERVICE_STATES)
      for (const over of [true, false]) {
        const status = restartStatus(over, state);
        expect(["healthy", "running", "completed"].includes(status)).toBe(over && STANDING[state] === "up");
      }
  });
});

describe("WatchedState and TRANSITIONS", () => {
  it("each transition of the table is accepted and every other one is refused", () => {
    fc.assert(
      fc.property(fc.array(anyState, { maxLength: 20 }), (steps) => {
        const watched = new WatchedState(() => undefined);
        for (const next of steps) {
          const before = watched.current;
          if (mayFollow(before, next)) {
            watched.to(next);
            expect(watched.current).toBe(next);
          } else {
            expect(() => watched.to(next)).toThrow(/cannot become/);
            expect(watched.current).toBe(before);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("every state is reachable, and a state without an instance can become starting", () => {
    const reached = new Set<ServiceState>(["pending"]);
    for (const state of reached) for (const next of TRANSITIONS[state]) reached.add(next);
    expect([...reached].sort()).toEqual([...SERVICE_STATES].sort());
    for (const state of ["pending", "stopped", "completed", "crashed", "lost"] as const)
      expect(TRANSITIONS[state]).toContain("starting");
  });

  it("no service becomes healthy or running after an end without starting", () => {
    for (const state of ["crashed", "stopped", "completed", "lost", "pending"] as const) {
      expect(mayFollow(state, "healthy")).toBe(false);
      expect(mayFollow(state, "running")).toBe(false);
    }
    expect(mayFollow("running", "healthy")).toBe(false);
  });
});
