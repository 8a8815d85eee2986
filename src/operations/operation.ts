/**
 * One operation, defined once; MCP tools, REST routes and CLI commands are projections of it.
 */
import type { z } from "zod";
import type { CallContext, StackManager } from "../stack/model.js";

/** The classification from which every interface derives annotations, read-only mode, confirmation and token scope. */
export interface OperationAnnotations {
  readOnly: boolean;
  destructive: boolean;
  idempotent: boolean;
  /** True when the answer includes text written by services. */
  openWorld: boolean;
}

export interface OperationContext extends CallContext {
  manager: StackManager;
}

export interface Brief<Output extends z.ZodObject = z.ZodObject> {
  readonly output: z.ZodObject;
  of(output: z.output<Output>): Record<string, unknown>;
}

export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  /** snake_case, also the MCP tool's name. */
  readonly name: string;
  readonly title: string;
  /**
   * For agents: the purpose, when to use it, an example. The text stays in the model's context for the whole session,
   * so keep it short.
   */
  readonly description: string;
  /** Strict object. */
  readonly input: Input;
  readonly output: Output;
  readonly annotations: OperationAnnotations;
  /**
   * Compact answer for agents, with the same facts in fewer characters. Agents get the full answer with `detail`; REST
   * and `--json` always get the full answer.
   */
  readonly brief?: Brief<Output>;
  /**
   * Describes the data that this call would delete; null when it deletes nothing. A call that deletes data requires
   * `confirm: true`. A destructive operation without this function always requires it.
   */
  destroys?(input: z.output<Input>): string | null;
  run(input: z.output<Input>, context: OperationContext): Promise<z.input<Output>>;
}

/** Keeps the schemas' types inside the definition while the list of operations stays homogeneous. */
export function defineOperation<Input extends z.ZodObject, Output extends z.ZodObject>(
  operation: Operation<Input, Output>,
): Operation<Input, Output> {
  return operation;
}
