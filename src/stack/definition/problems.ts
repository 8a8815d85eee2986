/** Collects what is wrong with a compose file, each with its place, so that one call shows all of it. */
import { isNode, type LineCounter, type Node } from "yaml";
import { type ErrorCode, StackwardenError } from "../../errors.js";

export interface Problem {
  /** Dotted path in the file, e.g. `services.backend.ports[0]`. */
  path: string;
  line: number | null;
  message: string;
  hint: string;
}

/** A problem that breaks the hardening outranks one that is merely wrong. */
type Rank = Extract<ErrorCode, "INVALID_STACK" | "POLICY_VIOLATION">;

const MOST = 20;

export class Problems {
  readonly #found: (Problem & { code: Rank })[] = [];

  constructor(
    readonly file: string,
    readonly lines: LineCounter,
  ) {}

  lineOf(node: unknown): number | null {
    if (!isNode(node)) return null;
    const range = (node as Node).range;
    return range ? this.lines.linePos(range[0]).line : null;
  }

  invalid(node: unknown, path: string, message: string, hint: string): void {
    this.#found.push({ code: "INVALID_STACK", path, line: this.lineOf(node), message, hint });
  }

  /** Something an agent must not be able to get by writing it into a file. */
  policy(node: unknown, path: string, message: string, hint: string): void {
    this.#found.push({ code: "POLICY_VIOLATION", path, line: this.lineOf(node), message, hint });
  }

  get empty(): boolean {
    return this.#found.length === 0;
  }

  /** @throws POLICY_VIOLATION or INVALID_STACK that names the first problem and lists up to 20 */
  throwIfAny(): void {
    const first = this.#found.find((problem) => problem.code === "POLICY_VIOLATION") ?? this.#found[0];
    if (first === undefined) return;
    const place = first.line === null ? this.file : `${this.file}:${first.line}`;
    const more = this.#found.length - 1;
    throw new StackwardenError(
      first.code,
      `${[place, first.path, first.message].filter((part) => part !== "").join(": ")}${more > 0 ? ` (and ${more} more)` : ""}`,
      {
        hint: first.hint,
        details: { file: this.file, problems: this.#found.slice(0, MOST), omitted: Math.max(0, more + 1 - MOST) },
      },
    );
  }
}
