/** Versions of this machine's programs, for the note that a program differs from the version in the image's tag. */
import { basename } from "node:path";
import { languageOfImage, parseImageName } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { PYTHON_DETAILS, programOutput } from "../toolchain/program-output.js";
import type { PrepareContext } from "./launch-plan.js";

const NUMBER = /\d+(?:\.\d+)+/;
const PYTHON = /^python[\d.]*$/;

/** Version of a program, for example `3.11.2` of `python3`. Null when it does not run or its output has no version. */
export async function programVersion(
  program: string,
  context: Pick<PrepareContext, "host" | "user">,
  option = "--version",
): Promise<string | null> {
  if (program === process.execPath) return process.versions.node;
  const args = PYTHON.test(basename(program)) ? PYTHON_DETAILS : [option];
  return programOutput(program, args, context).then(
    ({ exitCode, output }) => (exitCode === 0 ? (NUMBER.exec(output)?.[0] ?? null) : null),
    () => null,
  );
}

/**
 * Whether a tag names another version, for example `3.13-slim` for 3.11.2. `7` matches 7.0.15. Tags without a number
 * match every version.
 */
export function isOtherVersion(tag: string | null, version: string): boolean {
  const tagVersion = /^v?(\d+(?:\.\d+)*)/.exec(tag ?? "")?.[1]?.split(".");
  const actual = version.split(".");
  return tagVersion?.some((part, index) => actual[index] !== undefined && part !== actual[index]) ?? false;
}

const NAMES = { node: "Node.js", python: "Python" } as const;

/** The note for an app service when this machine has another version of its image's language. */
export async function languageNote(
  service: ServiceDefinition,
  program: string,
  context: Pick<PrepareContext, "host" | "user">,
): Promise<string[]> {
  const { image, build } = service;
  const language = image === undefined || build !== undefined ? null : languageOfImage(image);
  if (image === undefined || language === null || !program.includes(language)) return [];
  const version = await programVersion(program, context);
  if (version === null || !isOtherVersion(parseImageName(image).tag, version)) return [];
  return [`Runs ${NAMES[language]} ${version} instead of ${image}.`];
}
