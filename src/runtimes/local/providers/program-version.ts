/** Versions of this machine's programs, for the note that a program differs from the version in the image's tag. */

import { languageOfImage, parseImageName } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { timeoutSignal } from "../../../system/wait.js";
import type { PrepareContext } from "./launch-plan.js";

const TIMEOUT_MS = 10_000;
const NUMBER = /\d+(?:\.\d+)+/;

const versions = new Map<string, Promise<string | null>>();

/**
 * Version of a program, for example `3.11.2` from `python3 --version`, run as the service's user. Cached for each
 * program. Null when the output has no version.
 */
export function programVersion(
  program: string,
  context: Pick<PrepareContext, "host" | "user">,
  option = "--version",
): Promise<string | null> {
  if (program === process.execPath) return Promise.resolve(process.versions.node);
  const versionRun =
    versions.get(program) ??
    context.host
      .run({
        argv: [program, option],
        // In namespaces a program below a home folder can be run, too.
        visible: [],
        cwd: "/",
        env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
        user: context.user,
        signal: timeoutSignal(TIMEOUT_MS),
        timeoutMs: TIMEOUT_MS,
      })
      .then(
        ({ exitCode, output }) => (exitCode === 0 ? (NUMBER.exec(output)?.[0] ?? null) : null),
        () => null,
      );
  versions.set(program, versionRun);
  return versionRun;
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
