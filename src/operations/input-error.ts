/** Turns what zod found into one INVALID_INPUT that names each field, what was wrong with it, and what is valid. */
import type { z } from "zod";
import { StackwardenError } from "../errors.js";
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

export function inputError(operation: string, issues: InputIssue[]): StackwardenError {
  const shown = issues.slice(0, SHOWN_ISSUES);
  const more = issues.length - shown.length;
  const sentences = shown.map(({ field, problem, valid }) => `${field} ${problem}; valid: ${valid}.`);
  if (more > 0) sentences.push(`${more} more.`);
  return new StackwardenError("INVALID_INPUT", `${operation}: ${sentences.join(" ")}`, {
    hint: "Correct what is named and call again; nothing was changed.",
    details: { operation, issues: shown },
  });
}

/** Issues in the order zod found them; `input` is what was given. */
export function issuesOf(schema: z.ZodObject, error: z.core.$ZodError, input: unknown): InputIssue[] {
  const known = Object.keys(schema.shape);
  return error.issues.flatMap((issue): InputIssue[] => {
    const { valid, names } = describe(schema, issue.path);
    if (issue.code === "unrecognized_keys") {
      const takes = names ?? known;
      const list = takes.length === 0 ? "no arguments at all" : `only ${takes.join(", ")}`;
      return issue.keys.map((key) => ({
        field: preview([...issue.path, key]),
        problem: "is unknown",
        valid: list,
      }));
    }
    const given = issue.path.reduce<unknown>(
      (value, key) =>
        typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
      input,
    );
    const field = issue.path.length === 0 ? "arguments" : preview(issue.path);
    return [{ field, problem: problemOf(issue, given), valid: valid ?? (known.join(", ") || "{}") }];
  });
}

const preview = (path: readonly PropertyKey[]): string => clean(path.map(String).join("."), SHOWN_CHARACTERS);

function problemOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (issue.code === "invalid_key") return "is no valid name";
  if (given === undefined && issue.code !== "custom") return "is missing";
  const what = show(given);
  return issue.code === "custom" ? `${issue.message} (${what})` : `cannot be ${what}`;
}

/** What was given, short and without characters that a terminal or a model would act on. */
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

/** The nearest sentence about valid values on the way to `path`, and the field names where the path ends in an object. */
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
