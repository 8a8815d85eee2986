/** The classification of an engine's errors as transient or permanent, and the errors that callers receive. */
import { describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import {
  commandMissing,
  endedWell,
  execFailure,
  isTransientFault,
  startError,
} from "../../../../src/runtimes/dagger/engine/engine-errors.js";
import { progress } from "../../../../src/runtimes/dagger/service/progress.js";
import { EngineError, SessionError } from "../../../../src/runtimes/dagger/session/connection.js";
import { exitOf } from "../../../../src/runtimes/shared/exit-codes.js";
import { isTransient } from "../../../../src/system/retry.js";

const exec = (exitCode: number, stderr = "", stdout = "") =>
  new EngineError(`process "sh" did not complete successfully: exit code: ${exitCode}`, {
    _type: "EXEC_ERROR",
    exitCode,
    stdout,
    stderr,
  });
const reset = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });

describe("errors of an engine", () => {
  it.each([
    ["a registry that is too busy", new EngineError("unexpected status from HEAD request to x: 429 Too Many Requests")],
    ["a registry that is down", new EngineError("failed to resolve image: unexpected status: 503 Service Unavailable")],
    ["a broken network", new EngineError("failed to do request: read tcp 1.2.3.4:5: connection reset by peer")],
    ["a slow network", new EngineError('failed to resolve image "x": dial tcp: i/o timeout')],
    ["a failing name server", new EngineError("lookup registry: Temporary failure in name resolution")],
    ["a session without an engine", new SessionError("the session answered HTTP 502: ", 502)],
    ["a broken connection", reset],
    ["an engine that is not running", new StackwardenError("RUNTIME_UNAVAILABLE", "no")],
  ])("%s is a transient fault and a retryable error", (_name, error) => {
    expect(isTransientFault(error)).toBe(true);
    const reported = startError(error, "web", "pulling x");
    expect(reported).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(isTransient(reported)).toBe(true);
  });

  it.each([
    [
      "a missing image",
      new EngineError('failed to resolve image "no/such": docker.io/no/such:latest: not found'),
      /image of web cannot be obtained.*not found/,
    ],
    [
      "an image that needs a login",
      new EngineError("pull access denied, repository does not exist or may require authorization"),
      /pull access denied/,
    ],
    ["an invalid image name", new EngineError("invalid reference format"), /invalid reference format/],
    [
      "a user that the image lacks",
      new EngineError("get user: unable to find user ghost: no matching entries"),
      /has no user ghost/,
    ],
    ["a command that failed", exec(7, "first\n\nlast", "out"), /ended with code 7\.$/],
    [
      "a step of a build that failed",
      new EngineError("exit code: 4", { _type: "EXEC_ERROR", exitCode: 4, cmd: ["/bin/sh", "-c", "make all"] }),
      /ended with code 4, in: make all\.$/,
    ],
    [
      "a build whose error begins with the engine's ids",
      new EngineError(
        `failed to load container from converted ID: load Container@${"CowN".repeat(600)}==: load xxh3:b264d9c3b809e519: inputs: load xxh3:c616afb0d9e1671c: inputs: failed to copy source directory: lstat /missing.txt: no such file or directory`,
      ),
      /^web: pulling x failed: failed to copy source directory: lstat \/missing.txt: no such file or directory$/,
    ],
    [
      "a missing program",
      exec(1, 'exec: "nosuchcmd": executable file not found in $PATH'),
      /does not exist in its image/,
    ],
    ["another error", new EngineError("some rule\nwas broken"), /pulling x failed: was broken/],
  ])("%s is a permanent fault and a failed start", (_name, error, message) => {
    expect(isTransientFault(error)).toBe(false);
    const reported = startError(error, "web", "pulling x");
    expect(reported).toMatchObject({ code: "SERVICE_START_FAILED", message: expect.stringMatching(message) });
    expect((reported as StackwardenError).hint).not.toBe("");
    expect(isTransient(reported)).toBe(false);
  });

  it("startError reports the last lines and returns errors that are not the engine's unchanged", () => {
    expect(startError(exec(7, "first\n\nlast", "out"), "web", "x")).toMatchObject({
      details: { last_lines: ["out", "first", "last"] },
    });
    const [own, abort, defect] = [
      new StackwardenError("POLICY_VIOLATION", "no"),
      new DOMException("stop", "AbortError"),
      new TypeError("defect"),
    ];
    for (const error of [own, abort, defect]) {
      expect(startError(error, "web", "x")).toBe(error);
      expect(isTransientFault(error)).toBe(false);
    }
  });

  it("an error that the SDK wraps is classified by its cause", () => {
    const wrapped = (cause: unknown) => Object.assign(new Error("unknown error", { cause }), { code: "D101" });
    expect(isTransientFault(wrapped(new SessionError("x", 502)))).toBe(true);
    expect(isTransientFault(wrapped(reset))).toBe(true);
    expect(isTransientFault(wrapped(exec(1)))).toBe(false);
    expect(isTransientFault(wrapped(new TypeError("defect")))).toBe(false);
    expect(execFailure(wrapped(exec(3)))).toMatchObject({ exitCode: 3 });
    expect(endedWell(wrapped(new EngineError("service exited before healthcheck")))).toBe(true);
    const own = new StackwardenError("RUNTIME_LOST", "gone");
    expect(startError(wrapped(own), "web", "x")).toBe(own);
    expect(startError(wrapped(new EngineError("manifest unknown")), "web", "x")).toMatchObject({
      code: "SERVICE_START_FAILED",
    });
  });

  it("execFailure and endedWell recognise a service that ends while the engine starts it", () => {
    expect(execFailure(exec(3, "e", "o"))).toEqual({ exitCode: 3, stdout: "o", stderr: "e", command: "" });
    expect(execFailure(new EngineError("x", { _type: "EXEC_ERROR" }))).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: "",
    });
    expect(execFailure(new EngineError("x"))).toBeNull();
    expect(execFailure(reset)).toBeNull();
    expect(endedWell(new EngineError("service exited before healthcheck"))).toBe(true);
    expect(endedWell(reset)).toBe(false);
    expect(commandMissing({ exitCode: 1, stdout: "", stderr: "all well", command: "" })).toBe(false);
  });
});

describe("exits and progress", () => {
  it("exitOf reads the exit code of an init as the signal that it stands for", () => {
    expect(exitOf(137, 5, true)).toEqual({ exitCode: 137, signal: "SIGKILL", oomKilled: true, at: 5 });
    expect(exitOf(143, 5).signal).toBe("SIGTERM");
    expect(exitOf(0, 5)).toEqual({ exitCode: 0, signal: null, oomKilled: false, at: 5 });
    expect(exitOf(null, 5)).toEqual({ exitCode: null, signal: null, oomKilled: false, at: 5 });
    expect(exitOf(200, 5).signal).toBeNull();
  });

  it("progress reports pulls and build steps once per interval and omits internal steps", () => {
    const messages: string[] = [];
    let now = 0;
    const began = progress(
      (message) => messages.push(message),
      () => now,
    );
    for (const span of ["pulling docker.io/x", "extracting layer", "Container.withUser", "consuming /v1/traces"])
      began(span);
    now = 300;
    began(`[2/3] RUN   pip\n install \u001b[31m${"x".repeat(300)}`);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toBe("pulling docker.io/x");
    expect(messages[1]).toMatch(/^\[2\/3\] RUN pip install x{90,}$/);
    expect(messages[1]?.length).toBe(120);
  });
});
