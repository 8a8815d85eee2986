/** Classifies the engine's errors: their cause, and whether a retry can help. */
import { StackwardenError } from "../../../errors.js";
import { shortenAtWord } from "../../../stack/text/sanitize-text.js";
import { isTransient } from "../../../system/retry.js";
import { lastLine } from "../../shared/last-line.js";
import { lacksProgram } from "../../shared/probes/command-verdict.js";
import { isBusy, missingUser, NO_IMAGE } from "../../shared/registry-faults.js";
import { EngineError, SessionError } from "../session/connection.js";

/** The SDK wraps the errors of its connection. */
function origin(error: unknown): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1)
    if (at instanceof EngineError || at instanceof SessionError || at instanceof StackwardenError) return at;
  return error;
}

/** A container that the engine started: its command ran and exited. */
export interface ExecFailure {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** The command, for display; empty when the engine does not report it. */
  command: string;
}

const SHOWN_COMMAND = 200;

/** A RUN of a Dockerfile is `sh -c` followed by its text. */
function commandOf(words: unknown): string {
  if (!Array.isArray(words)) return "";
  const command = words.length === 3 && words[1] === "-c" ? String(words[2]) : words.join(" ");
  return shortenAtWord(command, SHOWN_COMMAND);
}

/** The exit of a command with a non-zero code; null for every other error. */
export function execFailure(thrown: unknown): ExecFailure | null {
  const error = origin(thrown);
  if (!(error instanceof EngineError) || error.extensions._type !== "EXEC_ERROR") return null;
  const { exitCode, stdout, stderr, cmd } = error.extensions;
  return {
    exitCode: Number(exitCode ?? 1),
    stdout: String(stdout ?? ""),
    stderr: String(stderr ?? ""),
    command: commandOf(cmd),
  };
}

/** True when the container exited with code 0 while the engine was still starting it. */
export function endedWell(thrown: unknown): boolean {
  const error = origin(thrown);
  return error instanceof EngineError && error.message.includes("service exited before healthcheck");
}

/** The host port that is in use by another process, when the engine failed to listen on it; null for other errors. */
export function takenPort(thrown: unknown): number | null {
  const error = origin(thrown);
  if (!(error instanceof EngineError)) return null;
  const port = /listen tcp\d? \S*:(\d+): bind: address already in use/.exec(error.message)?.[1];
  return port === undefined ? null : Number(port);
}

/** Removes the engine's ids of the objects it was about to load: hundreds of characters before the cause. */
const INTERNAL = /(?:failed to load \w+ from converted ID: )?(?:load (?:\w+@[\w+/=]+|xxh3:[0-9a-f]+): (?:inputs: )*)+/g;

/** Last line of an engine's message; the lines before it repeat the context. */
const gist = (message: string): string => lastLine(message.replace(INTERNAL, ""));

export const commandMissing = (failure: ExecFailure): boolean => lacksProgram(failure.stderr);

/** True when a retry may help; false for a wrong name, a missing user, or a failed command. */
export function isTransientFault(thrown: unknown): boolean {
  const error = origin(thrown);
  if (error instanceof SessionError) return true;
  if (error instanceof EngineError) return execFailure(error) === null && isBusy(error.message);
  return isTransient(error);
}

/**
 * Maps the error of a failed start to the error for the caller.
 * @param doing the step that failed, for example `pulling postgres:15-alpine`
 */
export function startError(thrown: unknown, service: string, doing: string): unknown {
  const error = origin(thrown);
  if (error instanceof StackwardenError) return error;
  if (isTransientFault(error))
    return new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `${service}: ${doing} failed: ${gist((error as Error).message)}`,
      {
        hint: "The network, the registry or the engine did not answer; it was tried again. Call again later, or run `stackwarden doctor`.",
        cause: error,
      },
    );
  if (!(error instanceof EngineError)) return error;
  const failed = (message: string, hint: string, more: Record<string, unknown> = {}) =>
    new StackwardenError("SERVICE_START_FAILED", message, { hint, details: { service, ...more }, cause: error });
  const failure = execFailure(error);
  if (failure !== null) {
    if (commandMissing(failure))
      return failed(`The program of ${service} does not exist in its image.`, "Correct its command or entrypoint.", {
        last_lines: [gist(failure.stderr)],
      });
    return failed(
      `${service}: ${doing} ended with code ${failure.exitCode}${failure.command === "" ? "" : `, in: ${failure.command}`}.`,
      "Read details.last_lines, and correct the cause.",
      {
        last_lines: `${failure.stdout}\n${failure.stderr}`
          .split("\n")
          .filter((line) => line.trim() !== "")
          .slice(-15),
      },
    );
  }
  const user = missingUser(error.message);
  if (user !== null)
    return failed(
      `The image of ${service} has no user ${user}.`,
      "Give a number such as 1000:1000 as its user, or a name that the image has.",
    );
  if (NO_IMAGE.test(error.message))
    return failed(
      `The image of ${service} cannot be obtained: ${gist(error.message)}`,
      "Correct the image's name and tag in the compose file; for a private registry, log in where the Dagger CLI runs.",
    );
  return failed(`${service}: ${doing} failed: ${gist(error.message)}`, "Read the message, and correct what it names.");
}
