/** All operations, in the order in which every interface lists them, and the one function that calls them. */

import type { z } from "zod";
import { StackwardenError, toStackwardenError, withHint } from "../errors.js";
import { callTo, completeCalls, hint, setting } from "../hint.js";
import { withinOrNull } from "../system/wait.js";
import { checkStack } from "./check-stack.js";
import { diagnose } from "./diagnose.js";
import { PROTOTYPE_KEYS } from "./fields.js";
import { getEvents } from "./get-events.js";
import { getLogs } from "./get-logs.js";
import { getStats } from "./get-stats.js";
import { healthStatus } from "./health-status.js";
import { type InputIssue, inputError, issuesOf, projectPathHint } from "./input-error.js";
import { listStacks } from "./list-stacks.js";
import type { Operation, OperationContext } from "./operation.js";
import { readArguments } from "./read-arguments.js";
import { restartService } from "./restart-service.js";
import { runCommand } from "./run-command.js";
import { setLimits } from "./set-limits.js";
import { deleteSnapshot, listSnapshots, restoreSnapshot, saveSnapshot } from "./snapshots.js";
import { startStack } from "./start-stack.js";
import { stopStack } from "./stop-stack.js";

export type { Operation, OperationAnnotations, OperationContext } from "./operation.js";

/** An operation whose schemas are known only at run time. */
// biome-ignore lint/suspicious/noExplicitAny: a list of operations of different inputs has no narrower type.
export type AnyOperation = Operation<any, any>;

export const operations: readonly AnyOperation[] = [
  startStack,
  stopStack,
  listStacks,
  checkStack,
  healthStatus,
  getLogs,
  restartService,
  setLimits,
  getStats,
  getEvents,
  diagnose,
  runCommand,
  saveSnapshot,
  restoreSnapshot,
  listSnapshots,
  deleteSnapshot,
];

export interface InvokeOptions {
  /** Refuse every operation that changes something. Default false. */
  readOnly?: boolean;
  /** Fields that the interface accepts beside the operation's own; errors name them too. */
  extraFields?: readonly string[];
}

/**
 * Finds an operation by name.
 * @throws INVALID_INPUT that lists the valid names
 */
export function operationNamed(name: string): AnyOperation {
  const match = operations.find((operation) => operation.name === name);
  if (match === undefined) {
    const valid = operations.map((operation) => operation.name);
    throw new StackwardenError("INVALID_INPUT", `Unknown operation. Valid: ${valid.join(", ")}.`, {
      hint: "Use one of the names listed.",
      details: { issues: [{ field: "operation", problem: "is unknown", valid: valid.join(", ") }] },
    });
  }
  return match;
}

const MAX_DEPTH = 6;
const MAX_MEMBERS = 2000;
/** Milliseconds that an operation may exceed its own time-outs before `invoke` fails the call. */
const GRACE_MS = 60_000;

/**
 * Checks the input, the mode and the confirmation, then runs the operation. Nothing changes before all checks have
 * passed. A context passed as a function is created only after them.
 * @throws StackwardenError only: INVALID_INPUT, READ_ONLY_MODE, CONFIRMATION_REQUIRED, and the errors of the manager
 */
export async function invoke<Input extends z.ZodObject, Output extends z.ZodObject>(
  operation: Operation<Input, Output>,
  rawInput: unknown,
  context: OperationContext | (() => Promise<OperationContext>),
  { readOnly = false, extraFields }: InvokeOptions = {},
): Promise<z.input<Output>> {
  if (readOnly && !operation.annotations.readOnly) {
    throw new StackwardenError(
      "READ_ONLY_MODE",
      `${operation.name} changes the stack; this server is in read-only mode.`,
      {
        hint: hint`Only the operator can change it: ${setting("read_only")}.`,
      },
    );
  }
  const input = parseInput(operation, rawInput, extraFields);
  requireConfirmation(operation, input);
  const ready = typeof context === "function" ? await context().catch(rethrow) : context;
  if (ready.signal.aborted) {
    throw new StackwardenError("OPERATION_CANCELLED", "The call was cancelled before it began.");
  }
  return await runWithinDeadline(operation, input, ready);
}

const rethrow = (error: unknown): never => {
  throw toStackwardenError(error);
};

/**
 * Validates the input and fills in defaults.
 * @throws INVALID_INPUT
 */
export function parseInput<Input extends z.ZodObject>(
  operation: Pick<Operation<Input>, "name" | "input">,
  rawInput: unknown,
  extraFields: readonly string[] = [],
): z.output<Input> {
  refuseUnsafe(operation.name, rawInput ?? {});
  const input = readArguments(operation.input, rawInput ?? {});
  // Check again: members sent as JSON text are visible only after parsing.
  refuseUnsafe(operation.name, input);
  const parsed = operation.input.safeParse(input);
  if (parsed.success) return parsed.data as z.output<Input>;
  const issues = issuesOf(operation.input, parsed.error, input, extraFields);
  throw inputError(operation.name, issues, projectPathHint(operation.name, operation.input, input));
}

function refuseUnsafe(operation: string, input: unknown): void {
  const issue = unsafeShape(input);
  if (issue !== null) throw inputError(operation, [issue]);
}

/**
 * zod skips a record's `__proto__` silently and takes time for every member. Reserved names and excessive sizes are
 * therefore refused before zod runs.
 */
function unsafeShape(raw: unknown): InputIssue | null {
  let members = 0;
  const walk = (value: unknown, path: string[]): InputIssue | null => {
    if (typeof value !== "object" || value === null) return null;
    if (path.length > MAX_DEPTH) {
      return { field: path[0] as string, problem: "is nested too deeply", valid: `at most ${MAX_DEPTH} levels` };
    }
    for (const key of Object.keys(value)) {
      members += 1;
      if (members > MAX_MEMBERS) {
        return {
          field: path[0] ?? "arguments",
          problem: "has too many members",
          valid: `at most ${MAX_MEMBERS} members in total`,
        };
      }
      if (PROTOTYPE_KEYS.has(key)) {
        return {
          field: [...path, key].join("."),
          problem: "is a reserved word",
          valid: "a name that is not a member of Object.prototype",
        };
      }
      const issue = walk((value as Record<string, unknown>)[key], [...path, key]);
      if (issue !== null) return issue;
    }
    return null;
  };
  return walk(raw, []);
}

function requireConfirmation<Input extends z.ZodObject>(operation: Operation<Input>, input: z.output<Input>): void {
  if (!operation.annotations.destructive) return;
  const what = operation.destroys === undefined ? "permanently delete data" : operation.destroys(input);
  if (what === null || (input as { confirm?: unknown }).confirm === true) return;
  throw new StackwardenError("CONFIRMATION_REQUIRED", `${operation.name} would ${what}.`, {
    hint: hint`If the user wants that: ${callTo(operation.name, { ...changed(operation, input), confirm: true })}.`,
    details: { operation: operation.name, confirm: true },
  });
}

/** The arguments that differ from their defaults. */
function changed<Input extends z.ZodObject>(
  operation: Operation<Input>,
  input: z.output<Input>,
): Record<string, unknown> {
  const shape = operation.input.shape as Record<string, z.ZodType>;
  return Object.fromEntries(
    Object.entries(input).filter(
      ([field, value]) => value !== undefined && shape[field]?.safeParse(undefined).data !== value,
    ),
  );
}

/**
 * Fails a call that exceeds its time-outs by GRACE_MS. The manager enforces its own deadlines; this one covers a
 * manager that never answers. It does not apply to work without a time-out that has reported progress: a snapshot of
 * large data can take minutes.
 */
async function runWithinDeadline<Input extends z.ZodObject, Output extends z.ZodObject>(
  operation: Operation<Input, Output>,
  input: z.output<Input>,
  context: OperationContext,
): Promise<z.input<Output>> {
  const { timeout_seconds: timeout = 0, wait_seconds: wait = 0 } = input as Record<string, number | undefined>;
  const allowedMs = (timeout + wait) * 1000 + GRACE_MS;
  const hasTimeout = Object.hasOwn(operation.input.shape, "timeout_seconds");
  let works = false;
  const progress: OperationContext["progress"] = (report) => {
    works = true;
    context.progress(report);
  };
  const late = new AbortController();
  try {
    const signal = AbortSignal.any([context.signal, late.signal]);
    const running = Promise.resolve(operation.run(input, { ...context, signal, progress }));
    const answer = await withinOrNull(
      running.then((output) => ({ output })),
      allowedMs,
    );
    if (answer !== null) return answer.output;
    if (works && !hasTimeout) return await running;
    // Abort an operation that only reads. A change continues, and the next call joins it.
    if (operation.annotations.readOnly) late.abort();
    running.catch(() => undefined);
    throw new StackwardenError("RUNTIME_UNAVAILABLE", `${operation.name} got no answer within ${allowedMs / 1000} s.`, {
      hint: hint`Check the current state with ${callTo("health_status")}, then call again.`,
    });
  } catch (error) {
    const failure = toStackwardenError(error);
    const { project } = input as { project?: unknown };
    const complete = project !== undefined && failure.hintParts.some((part) => "call" in part);
    throw complete ? withHint(failure, completeCalls(failure.hintParts, { project })) : failure;
  }
}
