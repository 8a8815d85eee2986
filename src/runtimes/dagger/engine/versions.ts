/** Which versions of CLI and engine go with the SDK that this build carries. */
import { StackwardenError } from "../../../errors.js";

/** Version of `@dagger.io/dagger` in package.json: what everything here was tried with. */
export const SDK_VERSION = "0.21.8";
/** Older ones lack what is used here: the telemetry streams of a session, host names without bindings. */
const LEAST = [0, 21, 0] as const;

type Version = readonly [major: number, minor: number, patch: number];

/** First thing that looks like a version; development builds have none. */
export function parseVersion(text: string): Version | null {
  const found = /\bv?(\d{1,5})\.(\d{1,5})\.(\d{1,5})/.exec(text);
  return found === null ? null : [Number(found[1]), Number(found[2]), Number(found[3])];
}

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

export type VersionVerdict =
  | { kind: "same" }
  /** `message` says what is different. */
  | { kind: "other" | "too old"; message: string };

export function judgeVersion(what: "CLI" | "engine", text: string): VersionVerdict {
  const version = parseVersion(text);
  const sdk = parseVersion(SDK_VERSION) as Version;
  const shown = text.trim().slice(0, 60);
  if (version === null)
    return { kind: "other", message: `The Dagger ${what} is a development build (${shown}); tried is ${SDK_VERSION}.` };
  if (compare(version, LEAST) < 0)
    return {
      kind: "too old",
      message: `The Dagger ${what} is ${version.join(".")}, and at least ${LEAST.join(".")} is needed (tried is ${SDK_VERSION}).`,
    };
  if (compare(version, sdk) === 0) return { kind: "same" };
  return { kind: "other", message: `The Dagger ${what} is ${version.join(".")}; tried is ${SDK_VERSION}.` };
}

/** @throws UNSUPPORTED when the engine is too old */
export function checkEngineVersion(version: string, warn: (message: string) => void): void {
  const verdict = judgeVersion("engine", version);
  if (verdict.kind === "too old")
    throw new StackwardenError("UNSUPPORTED", verdict.message, {
      hint: `Start an engine of version ${SDK_VERSION}, or name another one under engines in the server's configuration.`,
    });
  if (verdict.kind === "other") warn(verdict.message);
}
