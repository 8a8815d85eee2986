/** The verdict on the exit code and output of a health check command. */
import { describe, expect, it } from "vitest";
import { CheckProgramMissing, commandVerdict } from "../../../src/runtimes/shared/probes/command-verdict.js";

describe("commandVerdict", () => {
  it("the verdict is the last printed line or the exit code", () => {
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
  ])('exit code %i with output "%s" means that the program is missing', (exit, output) => {
    expect(() => commandVerdict(exit, output)).toThrow(CheckProgramMissing);
  });

  it.each<[number, string]>([
    [1, "curl: (22) The requested URL returned error: 404 Not Found"],
    [2, "psql: error: connection failed: No such file or directory"],
    [126, "sh: ./check: Permission denied"],
  ])('exit code %i with output "%s" is a failed check', (exit, output) => {
    expect(() => commandVerdict(exit, output)).not.toThrow(CheckProgramMissing);
    expect(() => commandVerdict(exit, output)).toThrow(`exit code ${exit}`);
  });
});
