/** Collects the problems of a project's compose files with their locations, so that one error lists all of them. */
import { type ErrorCode, StackwardenError } from "../../../errors.js";
import { cleanTexts } from "../../text/sanitize-error.js";
import { boundText, LONGEST_TEXT, sanitizeText } from "../../text/sanitize-text.js";
import { lineOf, type Tree } from "./tree.js";

export interface Problem {
  /** Absolute path of the file, or `built-in:commandcenter`. */
  file: string;
  /** Dotted path in the merged project, e.g. `services.backend.ports[0]`. */
  path: string;
  line: number | null;
  message: string;
  hint: string;
}

/** Policy violations are listed before invalid values. */
type Rank = Extract<ErrorCode, "INVALID_STACK" | "POLICY_VIOLATION">;

export type RankedProblem = Problem & { code: Rank };

/** Location of a problem: a value, or a file and a line. */
export type Where = Tree | { file: { path: string }; line: number | null };

const MOST = 20;

const place = (where: Where): Pick<Problem, "file" | "line"> => ({
  file: where.file.path,
  line: "line" in where ? where.line : lineOf(where),
});

export class Problems {
  readonly #ranked: RankedProblem[] = [];
  readonly #keys = new Set<string>();

  /** @param unset variables of the files that are not set; an error names them, because they may be its cause */
  constructor(private readonly unset: ReadonlySet<string> = new Set()) {}

  invalid(where: Where, path: string, message: string, hint: string): void {
    this.#add({ code: "INVALID_STACK", ...place(where), path, message, hint });
  }

  /** Records a policy violation: a setting that an agent must not obtain by editing a file. */
  policy(where: Where, path: string, message: string, hint: string): void {
    this.#add({ code: "POLICY_VIOLATION", ...place(where), path, message, hint });
  }

  get empty(): boolean {
    return this.#ranked.length === 0;
  }

  /** All problems, policy violations first. */
  get all(): readonly RankedProblem[] {
    return [...this.#ranked].sort(
      (one, other) => Number(other.code === "POLICY_VIOLATION") - Number(one.code === "POLICY_VIOLATION"),
    );
  }

  /** @throws POLICY_VIOLATION or INVALID_STACK that names the first problem and lists up to 20 */
  throwIfAny(): void {
    const { all } = this;
    const [first] = all;
    if (first === undefined) return;
    const where = first.line === null ? first.file : `${first.file}:${first.line}`;
    const more = all.length - 1;
    throw new StackwardenError(
      first.code,
      `${[where, first.path, first.message].filter((part) => part !== "").join(": ")}${more > 0 ? ` (and ${more} more)` : ""}`,
      {
        hint: this.#withUnset(first.hint),
        details: { file: first.file, problems: all.slice(0, MOST), omitted: Math.max(0, more + 1 - MOST) },
      },
    );
  }

  #withUnset(hint: string): string {
    if (this.unset.size === 0) return hint;
    const names = [...this.unset].slice(0, MOST).join(", ");
    return `${hint} Variables of the file that are not set, and were replaced by the empty text: ${names}. Set them in .env.`;
  }

  /** Adds a problem once. A value can be read several times, through aliases or in several passes. */
  #add(quoting: RankedProblem): void {
    const problem = cleanTexts(quoting, (text) => boundText(sanitizeText(text), LONGEST_TEXT));
    const key = JSON.stringify([problem.file, problem.path, problem.message]);
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.#ranked.push(problem);
  }
}
