/** Converts zod's issues to one INVALID_INPUT error that names each field, the value sent and the values expected. */
import * as z from "zod";
import { StackwardenError } from "../errors.js";
import { callTo, type Hint, hint } from "../hint.js";
import { projectIdFrom } from "../stack/project-id.js";
import { nearest } from "../system/nearest.js";
import { validOf } from "./fields.js";

export interface InputIssue {
  /** Path such as `ports.backend`. */
  field: string;
  problem: string;
  valid: string;
}

type Schema = z.core.$ZodType;
type Def = {
  type: string;
  innerType?: Schema;
  shape?: Record<string, Schema>;
  element?: Schema;
  valueType?: Schema;
};

const SHOWN_ISSUES = 5;
const SHOWN_CHARACTERS = 60;

const CORRECT: Hint = hint`Correct the arguments named and call again; nothing was changed.`;

export function inputError(operation: string, all: InputIssue[], correction: Hint = CORRECT): StackwardenError {
  // One value can break several rules of its field, which describe the same valid values.
  const issues = all.filter(
    ({ field, valid }, at) => all.findIndex((issue) => issue.field === field && issue.valid === valid) === at,
  );
  const reported = issues.slice(0, SHOWN_ISSUES);
  const more = issues.length - reported.length;
  const sentences = reported.map(sentence);
  if (more > 0) sentences.push(`${more} more.`);
  return new StackwardenError("INVALID_INPUT", `${operation}: ${sentences.join(" ")}`, {
    hint: correction,
    details: { operation, issues: reported },
  });
}

const sentence = ({ field, problem, valid }: InputIssue): string => {
  const received = /^got (.*)$/s.exec(problem)?.[1];
  return received === undefined
    ? `${field} ${problem}; expected ${valid}.`
    : `${field}: expected ${valid}, got ${received}.`;
};

/** What to do about a path that was sent as the project's id; undefined for every other input. */
export function projectPathHint(operation: string, schema: z.ZodObject, input: unknown): Hint | undefined {
  const { project: path, folder } = input as { project?: unknown; folder?: unknown };
  if (typeof path !== "string" || !/[/\\]|^[.~]/.test(path)) return undefined;
  const accepted: Schema | undefined = schema.shape.folder;
  if (accepted === undefined)
    return hint`project is the id of a project, not a path; ${callTo("list_stacks")} returns the ids. Nothing was changed.`;
  const project = projectIdFrom(path.split(/[/\\]/).findLast((part) => part !== "") ?? "") ?? "shop";
  const isFolder = folder === undefined && z.safeParse(accepted, path).success;
  const call = callTo(operation, { project, folder: isFolder ? path : "<path>" });
  return hint`project is an id, and folder is the path: ${call}. Nothing was changed.`;
}

/** Converts zod's issues, in zod's order. `input` is the validated value. */
export function issuesOf(
  schema: z.ZodObject,
  error: z.core.$ZodError,
  input: unknown,
  extraFields: readonly string[] = [],
): InputIssue[] {
  const fields = Object.keys(schema.shape);
  return error.issues.flatMap((issue): InputIssue[] => {
    const { valid, names } = describe(schema, issue.path);
    if (issue.code === "unrecognized_keys") {
      const accepted = issue.path.length === 0 ? [...fields, ...extraFields] : (names ?? fields);
      return issue.keys.map((key) => ({
        field: preview([...issue.path, key]),
        problem: unknownProblem(key, accepted),
        valid: accepted.length === 0 ? "no arguments" : `only ${accepted.join(", ")}`,
      }));
    }
    const value = issue.path.reduce<unknown>(
      (parent, key) =>
        typeof parent === "object" && parent !== null ? (parent as Record<PropertyKey, unknown>)[key] : undefined,
      input,
    );
    const field = issue.path.length === 0 ? "arguments" : preview(issue.path);
    return [{ field, problem: problemOf(issue, value), valid: valid ?? (fields.join(", ") || "{}") }];
  });
}

function unknownProblem(key: string, accepted: readonly string[]): string {
  const near = nearest(key, accepted);
  return near === undefined ? "is unknown" : `is unknown (did you mean ${near}?)`;
}

const preview = (path: readonly PropertyKey[]): string => clean(path.map(String).join("."), SHOWN_CHARACTERS);

function problemOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "invalid_key") return "is not a valid name";
  if (value === undefined && issue.code !== "custom") return "is missing";
  const what = show(value);
  return issue.code === "custom" ? `${issue.message} (${what})` : `got ${what}`;
}

/** Shows a value: shortened, without characters that a terminal or a model would interpret. */
function show(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  if (typeof value === "string") {
    const cut = clean(value, SHOWN_CHARACTERS);
    return value.length > SHOWN_CHARACTERS ? `a text of ${value.length} characters ("${cut}")` : `"${cut}"`;
  }
  return String(value);
}

const clean = (text: string, length: number): string => {
  const safe = text.slice(0, length).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
  return text.length > length ? `${safe}…` : safe;
};

/** The innermost description of valid values along `path`, and the field names where the path ends in an object. */
function describe(root: Schema, path: readonly PropertyKey[]): { valid?: string; names?: string[] } {
  let schema: Schema | undefined = root;
  let valid: string | undefined;
  const unwrap = (): Def | undefined => {
    while (schema !== undefined) {
      valid = validOf(schema) ?? valid;
      const def = schema._zod.def as Def;
      if (def.innerType === undefined) return def;
      schema = def.innerType;
    }
    return undefined;
  };
  for (const key of path) {
    const def = unwrap();
    schema = def?.shape?.[String(key)] ?? def?.element ?? def?.valueType;
    if (schema === undefined) break;
  }
  const end = unwrap();
  return {
    ...(valid === undefined ? {} : { valid }),
    ...(end?.shape === undefined ? {} : { names: Object.keys(end.shape) }),
  };
}
