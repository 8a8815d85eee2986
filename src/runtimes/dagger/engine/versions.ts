/** The versions of the Dagger CLI and engine that work with the bundled SDK. */
import { StackwardenError } from "../../../errors.js";

/** Version of `@dagger.io/dagger` in package.json, with which this runtime is tested. */
export const SDK_VERSION = "0.21.8";
/** Older versions lack the telemetry streams of a session and host names without bindings. */
const LEAST = [0, 21, 0] as const;
/** The GraphQL schema and the spans that report exits changed in 1.0 (seen with 1.0.0-beta.10). */
const TOO_NEW = [1, 0, 0] as const;

type Version = readonly [major: number, minor: number, patch: number];

/** Parses the first version number of a text; null for development builds. */
export function parseVersion(text: string): Version | null {
  const match = /\bv?(\d{1,5})\.(\d{1,5})\.(\d{1,5})/.exec(text);
  return match === null ? null : [Number(match[1]), Number(match[2]), Number(match[3])];
}

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

export type VersionVerdict =
  | { kind: "same" }
  /** `message` describes the difference. */
  | { kind: "other" | "unsupported"; message: string };

export function judgeVersion(what: "CLI" | "engine", text: string): VersionVerdict {
  const version = parseVersion(text);
  const sdk = parseVersion(SDK_VERSION) as Version;
  const excerpt = text.trim().slice(0, 60);
  if (version === null)
    return {
      kind: "other",
      message: `The Dagger ${what} is a development build (${excerpt}); stackwarden is tested with ${SDK_VERSION}.`,
    };
  // A beta of 1.0 is before 1.0.0, and works no better.
  const shown = version.join(".") + (/\d(-[0-9A-Za-z.-]+)/.exec(text)?.[1] ?? "");
  const expected = (range: string) => `Expected a Dagger ${what} ${range}, got ${shown}`;
  if (compare(version, LEAST) < 0)
    return {
      kind: "unsupported",
      message: `${expected(`of version ${LEAST.join(".")} or newer`)} (stackwarden is tested with ${SDK_VERSION}).`,
    };
  if (compare(version, TOO_NEW) >= 0)
    return {
      kind: "unsupported",
      message: `${expected("before version 1.0 and its betas")}: Dagger 1.0 has another API (stackwarden is tested with ${SDK_VERSION}).`,
    };
  if (compare(version, sdk) === 0) return { kind: "same" };
  return {
    kind: "other",
    message: `The Dagger ${what} is ${version.join(".")}; stackwarden is tested with ${SDK_VERSION}.`,
  };
}

/** @throws UNSUPPORTED when the engine is older than 0.21.0, or 1.0.0 or newer */
export function checkEngineVersion(version: string, warn: (message: string) => void): void {
  const verdict = judgeVersion("engine", version);
  if (verdict.kind === "unsupported")
    throw new StackwardenError("UNSUPPORTED", verdict.message, {
      hint: `Start an engine of version ${SDK_VERSION}, or name another one under engines in the server's configuration.`,
    });
  if (verdict.kind === "other") warn(verdict.message);
}
