/**
 * One operation, defined once; MCP tools, REST routes and CLI commands are projections of it.
 */
import type { z } from "zod";
import type { CallContext, StackManager } from "../stack/model.js";

/** The one classification every door derives from: annotations, read-only mode, confirmation, token scope. */
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

export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  /** snake_case, also the MCP tool's name. */
  readonly name: string;
  readonly title: string;
  /** For an agent: what, when, when not, what comes back, an example. At most 1,024 characters. */
  readonly description: string;
  /** Strict object. */
  readonly input: Input;
  readonly output: Output;
  readonly annotations: OperationAnnotations;
  /**
   * What this very call would destroy, or null when nothing; only destructive operations are asked. Such a call needs
   * `confirm: true`. A destructive operation without this function needs it always.
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
