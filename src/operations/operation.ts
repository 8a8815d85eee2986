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

/** The command that calls the operation, for hints and next steps. */
export interface CommandForm {
  /** Words after `stackwarden`. */
  name: string;
  /** Fields that are arguments, in this order. */
  operands?: string[];
  /** Options by field. A field that is not listed has no option. */
  options: Record<string, string>;
}

/** A route of the REST API that calls the operation. */
export interface RestRoute {
  method: "get" | "post" | "put";
  /** Below /api/v1, with {parameters}. */
  path: string;
  summary: string;
  /** In the OpenAPI document. Default: the operation's name. */
  operationId?: string;
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
  readonly command: CommandForm;
  readonly rest: readonly RestRoute[];
  /**
   * Compact answer for agents, with the same facts in fewer characters. Agents get the full answer with `detail`; REST
   * and `--json` always get the full answer.
   */
  readonly brief?: Brief<Output>;
  /**
   * Describes what this call would do to data, such as `permanently delete the data in every volume of shop`; null when
   * it deletes and replaces nothing. A call that does requires `confirm: true`. A destructive operation without this
   * function always requires it.
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
