/**
 * The closed sets of values in reports. Has no imports, because the dashboard's page and the command line's start-up
 * also load it.
 */

/** How a runtime runs services, as far as reports and checks depend on it. */
export interface RuntimeTraits {
  /** A service is a container of its image. False: its programs run on this machine, and images are never unpacked. */
  readonly images: boolean;
  /** A bind is the project's folder itself. False: a copy, made at the start. */
  readonly liveBinds: boolean;
  /** Publishes UDP ports, and one container port on several host ports. False: each TCP port once. */
  readonly allPorts: boolean;
  /** Instances of a service to which its name leads. `only`: a service has one instance. */
  readonly instances: "all" | "first" | "only";
}

/** Every runtime, in the order in which `runtime: auto` prefers them. */
export const RUNTIME_TRAITS = {
  dagger: { images: true, liveBinds: false, allPorts: false, instances: "first" },
  docker: { images: true, liveBinds: true, allPorts: true, instances: "all" },
  local: { images: false, liveBinds: true, allPorts: false, instances: "only" },
} as const satisfies Record<string, RuntimeTraits>;
export type RuntimeName = keyof typeof RUNTIME_TRAITS;
export const RUNTIMES = Object.keys(RUNTIME_TRAITS) as [RuntimeName, ...RuntimeName[]];
/** The runtime in reports before a runtime was chosen, when the configuration does not name one. */
export const DEFAULT_RUNTIME = "local" satisfies RuntimeName;

export const isRuntimeName = (name: unknown): name is RuntimeName => (RUNTIMES as readonly unknown[]).includes(name);

/**
 * `completed`: a one-shot service ended with exit code 0. `running`: alive, without a health check. `lost`: the runtime
 * died.
 */
export const SERVICE_STATES = [
  "pending",
  "starting",
  "running",
  "healthy",
  "unhealthy",
  "stopping",
  "stopped",
  "completed",
  "crashed",
  "lost",
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** Of a service of the compose file: a call stopped or excluded it, its profile is not active, or it is new. */
export const NOT_IN_STACK = "not part of the running stack";

export const STACK_STATES = ["stopped", "starting", "running", "degraded", "stopping", "lost"] as const;
export type StackState = (typeof STACK_STATES)[number];

/** `success`: a desired state was reached. */
export type EventSeverity = "error" | "warning" | "success" | "info";

/** Every event with its severity, which determines the level of its log message and its colour. */
export const EVENTS = {
  stack_starting: "info",
  stack_started: "success",
  stack_start_failed: "error",
  start_refused: "warning",
  stack_stopping: "info",
  stack_stopped: "info",
  stack_lost: "error",
  service_starting: "info",
  service_started: "info",
  service_healthy: "success",
  service_unhealthy: "warning",
  service_crashed: "error",
  service_completed: "success",
  process_killed: "warning",
  service_stopping: "info",
  service_stopped: "info",
  service_restarting: "info",
  service_restarted: "success",
  service_replaced: "info",
  files_copied: "info",
  restart_scheduled: "warning",
  restart_given_up: "error",
  limits_changed: "info",
  command_started: "info",
  command_ended: "info",
  snapshot_saved: "success",
  snapshot_restored: "warning",
  snapshot_deleted: "info",
  retrying: "warning",
  installing: "info",
  pulling: "info",
  port_reassigned: "warning",
  volumes_empty: "warning",
  warning: "warning",
} as const satisfies Record<string, EventSeverity>;
export type EventType = keyof typeof EVENTS;
export const EVENT_TYPES = Object.keys(EVENTS) as [EventType, ...EventType[]];
