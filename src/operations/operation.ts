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
  /** True where the answer carries text that services wrote. */
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
  /** For an agent: what it does, when to use it, an example. It is in the model's context for the whole session: keep it short. */
  readonly description: string;
  /** Strict object. */
  readonly input: Input;
  readonly output: Output;
  readonly annotations: OperationAnnotations;
  /**
   * What an agent gets in place of the whole answer unless it asks for `detail`: the same facts in fewer characters.
   * REST and `--json` always get the whole answer.
   */
  readonly brief?: Brief<Output>;
  /**
   * What this call would delete, or null for nothing. Such a call needs `confirm: true`. A destructive operation without
   * this function needs it always.
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
