/** What the end of a check's command says. */
import { describe, expect, it } from "vitest";
import { CheckProgramMissing, commandVerdict } from "../../../src/runtimes/shared/probes/command-verdict.js";

describe("the end of a check's command", () => {
  it("is what it printed last, or its exit code", () => {
    expect(commandVerdict(0, "one\nready\n")).toBe("ready");
    expect(commandVerdict(0, "")).toBe("exit code 0");
    expect(() => commandVerdict(3, "no\n")).toThrow("exit code 3: no");
    expect(() => commandVerdict("SIGKILL", "")).toThrow("exit code SIGKILL");
  });

  it.each<[number, string]>([
    [127, "sh: 1: curl: not found"],
    [126, "sh: ./check: No such file or directory"],
    [1, 'exec: "curl": executable file not found in $PATH'],
    [255, 'exec failed: unable to start container process: exec: "/x": stat /x: no such file or directory'],
  ])("says that the program is missing: %i, %s", (exit, output) => {
    expect(() => commandVerdict(exit, output)).toThrow(CheckProgramMissing);
  });

  it.each<[number, string]>([
    [1, "curl: (22) The requested URL returned error: 404 Not Found"],
    [2, "psql: error: connection failed: No such file or directory"],
    [126, "sh: ./check: Permission denied"],
  ])("is an ordinary failure where the program ran: %i, %s", (exit, output) => {
    expect(() => commandVerdict(exit, output)).not.toThrow(CheckProgramMissing);
    expect(() => commandVerdict(exit, output)).toThrow(`exit code ${exit}`);
  });
});
