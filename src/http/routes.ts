/** The REST table: each route is an operation. Routing, scopes and the OpenAPI document all come from it. */
import {
  type AnyOperation,
  checkStack,
  deleteSnapshot,
  diagnose,
  getEvents,
  getLogs,
  getStats,
  healthStatus,
  listSnapshots,
  listStacks,
  restartService,
  restoreSnapshot,
  runCommand,
  saveSnapshot,
  setLimits,
  startStack,
  stopStack,
} from "../operations/index.js";

export interface RestRoute {
  method: "get" | "post" | "put";
  /** Below /api/v1, with {parameters}. */
  path: string;
  summary: string;
  operation: AnyOperation;
  /** In the OpenAPI document. Default: the operation's name. */
  operationId?: string;
  /** What the answer has beside the operation's own result. */
  shape?(result: Record<string, unknown>, input: Record<string, unknown>): Record<string, unknown>;
}

const success = (result: Record<string, unknown>, input: Record<string, unknown>): Record<string, unknown> => ({
  // A start or restart that ended with a service that is not up has not succeeded.
  success: result.status !== "degraded",
  project_id: input.project,
  ...result,
});

export const ROUTES: readonly RestRoute[] = [
  { method: "get", path: "/projects", summary: "List projects with their stacks.", operation: listStacks },
  {
    method: "post",
    path: "/projects/{id}/check",
    summary: "Report what a start would run and what would prevent it. Starts nothing.",
    operation: checkStack,
  },
  {
    method: "post",
    path: "/projects/{id}/start",
    summary: "Start the stack, or apply its changed definition.",
    operation: startStack,
    shape: success,
  },
  {
    method: "post",
    path: "/projects/{id}/stop",
    summary: "Stop the stack. `remove_volumes` needs `confirm`.",
    operation: stopStack,
    shape: success,
  },
  {
    method: "get",
    path: "/projects/{id}/health",
    summary: "Health of every service.",
    operation: healthStatus,
  },
  {
    method: "get",
    path: "/projects/{id}/logs/{service}",
    summary: "Log of a service: as text, with `format=json` as lines, with `follow=true` as server-sent events.",
    operation: getLogs,
  },
  {
    method: "get",
    path: "/projects/{id}/logs",
    summary: "Logs of all services, or of several `services`, merged by time; otherwise as those of one.",
    operation: getLogs,
    operationId: "get_merged_logs",
  },
  {
    method: "post",
    path: "/projects/{id}/services/{service}/restart",
    summary: "Replace a service's instance by a fresh one.",
    operation: restartService,
    shape: success,
  },
  {
    method: "put",
    path: "/projects/{id}/services/{service}/limits",
    summary: "Change a service's limits.",
    operation: setLimits,
    shape: success,
  },
  {
    method: "post",
    path: "/projects/{id}/services/{service}/commands",
    summary: "Run a command in a service.",
    operation: runCommand,
    shape: success,
  },
  { method: "get", path: "/projects/{id}/snapshots", summary: "Snapshots of its data.", operation: listSnapshots },
  {
    method: "post",
    path: "/projects/{id}/snapshots",
    summary: "Save its data.",
    operation: saveSnapshot,
    shape: success,
  },
  {
    method: "post",
    path: "/projects/{id}/snapshots/{snapshot}/restore",
    summary: "Replace the data of a stopped stack. Needs `confirm`.",
    operation: restoreSnapshot,
    shape: success,
  },
  {
    method: "post",
    path: "/projects/{id}/snapshots/{snapshot}/delete",
    summary: "Delete a snapshot. Needs `confirm`.",
    operation: deleteSnapshot,
    shape: success,
  },
  { method: "get", path: "/projects/{id}/stats", summary: "Use against limits.", operation: getStats },
  { method: "get", path: "/projects/{id}/events", summary: "What happened.", operation: getEvents },
  {
    method: "get",
    path: "/projects/{id}/diagnosis",
    summary: "What is wrong, most likely, and what to do next.",
    operation: diagnose,
  },
];
