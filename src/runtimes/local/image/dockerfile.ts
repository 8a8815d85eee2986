/** Reads the Dockerfile of a service: what its final stage, and the stages it copies from, do in which order. */

import { posix } from "node:path";
import { type Copy, DockerfileParser, type Instruction, type JSONInstruction } from "dockerfile-ast";

/** `exec`: an argument vector. `shell`: text for `/bin/sh -c`. */
export type Command = { form: "exec"; words: string[] } | { form: "shell"; text: string };

export interface RunStep {
  kind: "run";
  /** Line of the Dockerfile, from 1. */
  line: number;
  command: Command;
  /** Working directory in the container. */
  cwd: string;
  /** Variables of ENV and ARG at this line. */
  env: Record<string, string>;
  /** Base image of its stage. */
  base: string;
}

export interface CopyStep {
  kind: "copy";
  line: number;
  /** Paths relative to the build context, or absolute paths in another stage. */
  sources: string[];
  /** Absolute path in the container. It ends with a slash when the instruction's does. */
  target: string;
  /** The stage or image of `--from`; absent for the build context. */
  from?: string;
}

export interface ImageRecipe {
  /** Base image of the final stage. */
  base: string;
  /** COPY and RUN of the final stage and of the stages that it needs, in the order in which a build runs them. */
  steps: (RunStep | CopyStep)[];
  env: Record<string, string>;
  /** Default `/`. */
  workdir: string;
  user?: string;
  entrypoint?: Command;
  cmd?: Command;
  expose: number[];
  stopSignal?: string;
  /** Things of the Dockerfile that have no meaning outside of a container, with their line. */
  problems: { line: number; message: string }[];
}

interface Stage {
  base: string;
  name: string | undefined;
  instructions: Instruction[];
}

const VARIABLE = /\\(.)|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?([-+])([^}]*))?\})/g;

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`, as Docker replaces them. */
function expand(text: string, values: Record<string, string>): string {
  return text.replace(VARIABLE, (whole, escaped, plain, braced, operator, word) => {
    if (escaped !== undefined) return escaped === "$" ? "$" : whole;
    const value = values[plain ?? braced] ?? "";
    if (operator === "-") return value === "" ? word : value;
    if (operator === "+") return value === "" ? "" : word;
    return value;
  });
}

/** The text of an instruction after its keyword and flags, without comment lines and continuations. */
function argumentsOf(instruction: Instruction, lines: readonly string[]): string {
  const range = instruction.getArgumentsRange();
  if (range === null) return "";
  const { start, end } = range;
  const raw = lines.slice(start.line, end.line + 1);
  raw[raw.length - 1] = (raw.at(-1) ?? "").slice(0, end.character);
  raw[0] = (raw[0] ?? "").slice(start.character);
  const first = raw[0].replace(/^(?:--[a-z-]+(?:=\S+)?\s+)+/, "");
  const text = [first, ...raw.slice(1).filter((line) => !/^\s*#/.test(line))].join("\n");
  return text.replace(/[\\`][ \t]*\n\s*(?:--[a-z-]+=\S+\s+)?/g, " ");
}

/** The body of `<<EOF`, which is a shell script when it is the argument of RUN. */
function heredoc(text: string): string | null {
  const opening = /^<<-?["']?(\w+)["']?[ \t]*\n/.exec(text);
  if (opening === null) return null;
  const body = text.slice(opening[0].length);
  const end = body.search(new RegExp(`^[ \\t]*${opening[1]}[ \\t\\r]*$`, "m"));
  return end < 0 ? body : body.slice(0, end);
}

function commandOf(text: string): Command {
  if (text.startsWith("[")) {
    try {
      const words: unknown = JSON.parse(text);
      if (Array.isArray(words) && words.every((word) => typeof word === "string")) return { form: "exec", words };
    } catch {
      // As in Docker, text that is not JSON is a shell command.
    }
  }
  return { form: "shell", text: heredoc(text) ?? text };
}

const flagOf = (instruction: Instruction, name: string): string | undefined =>
  (instruction as Partial<JSONInstruction>)
    .getFlags?.()
    .find((flag) => flag.getName() === name)
    ?.getValue() ?? undefined;

const propertiesOf = (instruction: Instruction): [string, string | null][] => {
  const many = instruction as unknown as { getProperties?(): { getName(): string; getValue(): string | null }[] };
  return (many.getProperties?.() ?? []).map((one) => [one.getName(), one.getValue()]);
};

class Reader {
  readonly #lines: string[];
  readonly #stages: Stage[] = [];
  /** Values of ARG before the first FROM. */
  readonly #global: Record<string, string> = Object.create(null);
  readonly #steps: ImageRecipe["steps"] = [];
  readonly #done = new Set<Stage>();
  readonly problems: ImageRecipe["problems"] = [];

  constructor(
    text: string,
    private readonly args: Record<string, string>,
  ) {
    this.#lines = text.split(/\r?\n/);
    for (const instruction of DockerfileParser.parse(this.#lines.join("\n")).getInstructions()) {
      const keyword = instruction.getKeyword();
      if (keyword === "FROM") {
        const [image = "", , name] = instruction.getArguments().map((one) => one.getValue());
        this.#stages.push({ base: expand(image, this.#global), name: name?.toLowerCase(), instructions: [] });
      } else if (this.#stages.length > 0) this.#stages.at(-1)?.instructions.push(instruction);
      else if (keyword === "ARG")
        for (const [name, value] of propertiesOf(instruction))
          this.#global[name] = args[name] ?? expand(value ?? "", this.#global);
    }
  }

  #stage(name: string): Stage | undefined {
    return this.#stages.find((stage) => stage.name === name.toLowerCase()) ?? this.#stages[Number(name)];
  }

  /** @returns null when there is no such stage */
  read(target: string | undefined): ImageRecipe | null {
    const stage = target === undefined ? this.#stages.at(-1) : this.#stage(target);
    return stage === undefined ? null : this.#readStage(stage, []);
  }

  #readStage(stage: Stage, from: readonly Stage[]): ImageRecipe {
    const parent = this.#stage(stage.base);
    const earlier = parent !== undefined && this.#stages.indexOf(parent) < this.#stages.indexOf(stage);
    const recipe: ImageRecipe = earlier
      ? { ...this.#readStage(parent, [...from, stage]) }
      : { base: stage.base, steps: this.#steps, env: {}, workdir: "/", expose: [], problems: this.problems };
    recipe.env = { ...recipe.env };
    recipe.expose = [...recipe.expose];
    // A stage that several others use is built once.
    const again = this.#done.has(stage);
    this.#done.add(stage);
    const values: Record<string, string> = { ...recipe.env };
    for (const instruction of stage.instructions)
      this.#apply(instruction, { recipe, values, again, from: [...from, stage] });
    return recipe;
  }

  #apply(
    instruction: Instruction,
    at: { recipe: ImageRecipe; values: Record<string, string>; again: boolean; from: readonly Stage[] },
  ): void {
    const { recipe, values, again } = at;
    const line = instruction.getRange().start.line + 1;
    const text = argumentsOf(instruction, this.#lines).trim();
    switch (instruction.getKeyword()) {
      case "ENV":
        for (const [name, value] of propertiesOf(instruction)) {
          recipe.env[name] = expand(value ?? "", values);
        }
        Object.assign(values, recipe.env);
        break;
      case "ARG":
        for (const [name, value] of propertiesOf(instruction))
          values[name] ??= this.args[name] ?? (value === null ? this.#global[name] : expand(value, values)) ?? "";
        break;
      case "WORKDIR":
        recipe.workdir = posix.resolve(recipe.workdir, expand(text.replace(/^(["'])(.*)\1$/, "$2"), values));
        break;
      case "COPY":
      case "ADD":
        if (!again) this.#copy(instruction as Copy, text, line, at);
        break;
      case "RUN":
        if (!again)
          this.#steps.push({
            kind: "run",
            line,
            command: commandOf(text),
            cwd: recipe.workdir,
            env: { ...values },
            base: recipe.base,
          });
        break;
      case "CMD":
        recipe.cmd = commandOf(text);
        break;
      case "ENTRYPOINT":
        recipe.entrypoint = commandOf(text);
        // As in Docker, an ENTRYPOINT discards the CMD of the parent stage.
        if (!at.from.at(-1)?.instructions.some((one) => one.getKeyword() === "CMD")) delete recipe.cmd;
        break;
      case "USER":
        recipe.user = expand(text, values);
        break;
      case "EXPOSE":
        for (const word of expand(text, values).split(/\s+/)) {
          const port = /^(\d{1,5})(?:\/tcp)?$/.exec(word)?.[1];
          if (port !== undefined && !recipe.expose.includes(Number(port))) recipe.expose.push(Number(port));
        }
        break;
      case "STOPSIGNAL":
        recipe.stopSignal = expand(text, values);
        break;
      case "SHELL":
        this.problems.push({ line, message: "SHELL is not used: commands run in /bin/sh." });
        break;
      default:
    }
  }

  #copy(
    instruction: Copy,
    text: string,
    line: number,
    { recipe, values, from: above }: { recipe: ImageRecipe; values: Record<string, string>; from: readonly Stage[] },
  ): void {
    const command = commandOf(text);
    const words = command.form === "exec" ? command.words : command.text.split(/\s+/);
    const paths = words.map((word) => expand(word, values));
    const last = paths.pop();
    if (last === undefined || paths.length === 0) return;
    const from = flagOf(instruction, "from");
    const stage = from === undefined ? undefined : this.#stage(expand(from, values));
    if (stage !== undefined && !above.includes(stage) && !this.#done.has(stage)) this.#readStage(stage, above);
    if (paths.some((path) => /^(?:[a-z]+:\/\/|git@|<<)/.test(path))) {
      this.problems.push({
        line,
        message: `${instruction.getKeyword()} of ${paths.join(" ").split("\n")[0]} is not carried out.`,
      });
      return;
    }
    const target = posix.resolve(recipe.workdir, last) + (/[^/]\/$/.test(last) || last === "." ? "/" : "");
    this.#steps.push({ kind: "copy", line, sources: paths, target, ...(from === undefined ? {} : { from }) });
  }
}

/**
 * @param args values of `build.args`
 * @param target name or number of the stage; default the last one
 * @returns null when the Dockerfile has no such stage
 */
export function readDockerfile(text: string, args: Record<string, string> = {}, target?: string): ImageRecipe | null {
  return new Reader(text, args).read(target);
}
