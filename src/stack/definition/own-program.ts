/**
 * Detects a program in a folder without a compose file. Such a folder gets the built-in stack, which would not run the
 * program.
 */
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { analyseFolder, suggestedCompose } from "./folder-analysis.js";
import type { StackDefinition } from "./types.js";

export interface OwnProgram {
  /** `a FastAPI program (main.py, requirements.txt)`. */
  description: string;
  /** A suggested compose file; null when the command cannot be derived. */
  compose: string | null;
  /** What the suggestion rests on. */
  assumptions: string[];
  /** Compose files with a name that Compose does not look for. */
  composeFiles: string[];
}

/** @returns null when the folder has neither a recognised program nor a compose file with another name */
export function ownProgram(folder: string): OwnProgram | null {
  const analysis = analyseFolder(folder);
  const { programs, otherComposeFiles } = analysis;
  if (programs.length === 0 && otherComposeFiles.length === 0) return null;
  const suggested = suggestedCompose({ ...analysis, otherComposeFiles: [] });
  const description = programs
    .map((program) => (program.at === "" ? program.description : `${program.description} in ${program.at}/`))
    .join(", ");
  return {
    description: description || "no program",
    compose: suggested?.text ?? null,
    assumptions: suggested?.assumptions ?? [],
    composeFiles: otherComposeFiles,
  };
}

/**
 * Refuses the built-in stack for a folder that it does not fit. The built-in stack runs `backend/` and `frontend/`. A
 * folder that has neither, but has a program or a compose file with another name, needs its own stack.
 * @throws INVALID_STACK with the program or compose file found and a way to run it
 */
export function refuseLeftOut(definition: StackDefinition, folder: string): void {
  if (!definition.source.startsWith("built-in:")) return;
  if (Object.values(definition.services).some(({ local }) => local?.workingDir !== undefined)) return;
  const program = ownProgram(folder);
  if (program === null) return;
  const { composeFiles, compose, description, assumptions } = program;
  const [file] = composeFiles;
  const parts = [
    ...(file === undefined
      ? []
      : [`the compose file ${composeFiles.join(", ")}, which has another name than Compose looks for`]),
    ...(description === "no program" ? [] : [description]),
  ];
  throw new StackwardenError(
    "INVALID_STACK",
    `${folder} has no compose.yaml. It holds ${parts.join(" and ")}; the built-in stack would start postgres and redis and leave that out.`,
    {
      hint:
        file !== undefined
          ? hint`Start with it: ${callTo("start_stack", { files: [file] })}; or copy it to compose.yaml.`
          : compose === null
            ? "Write compose.yaml with a service that runs it (`image` or `build`, `ports`, and for the local runtime `x-local.command`), then start again."
            : "Write compose.yaml as in details.compose (`stackwarden init --yes` writes it as compose.stackwarden.yaml), correct what details.assumptions got wrong, then start again.",
      details: {
        program: description,
        compose_files: composeFiles,
        ...(compose === null ? {} : { compose, assumptions }),
      },
    },
  );
}
