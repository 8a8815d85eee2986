/** Versions of this machine's programs, for the note that another one runs than the image's tag names. */
import { languageOfImage, parseImageName } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { PrepareContext } from "./launch-plan.js";

const TIMEOUT_MS = 10_000;
const NUMBER = /\d+(?:\.\d+)+/;

const versions = new Map<string, Promise<string | null>>();

/** `3.11.2` of `python3 --version`, run as the service's user; asked once for each program. Null when it gives none. */
export function programVersion(
  program: string,
  context: Pick<PrepareContext, "host" | "user">,
): Promise<string | null> {
  if (program === process.execPath) return Promise.resolve(process.versions.node);
  const asked =
    versions.get(program) ??
    context.host
      .run({
        argv: [program, "--version"],
        cwd: "/",
        env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
        user: context.user,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        timeoutMs: TIMEOUT_MS,
      })
      .then(
        ({ exitCode, output }) => (exitCode === 0 ? (NUMBER.exec(output)?.[0] ?? null) : null),
        () => null,
      );
  versions.set(program, asked);
  return asked;
}

/** Whether a tag names another version: `3.13-slim` and 3.11.2, `7` and 7.0.15. Tags without a number name none. */
export function isOtherVersion(tag: string | null, version: string): boolean {
  const wanted = /^v?(\d+(?:\.\d+)*)/.exec(tag ?? "")?.[1]?.split(".");
  const actual = version.split(".");
  return wanted?.some((part, index) => actual[index] !== undefined && part !== actual[index]) ?? false;
}

const NAMES = { node: "Node.js", python: "Python" } as const;

/** What an app service's note says when its image's language has another version here. */
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
