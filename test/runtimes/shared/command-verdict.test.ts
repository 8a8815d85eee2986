/** The verdict on the exit code and output of a health check command. */
import { describe, expect, it } from "vitest";
import {
  CheckProgramMissing,
  commandVerdict,
  ServiceStarting,
} from "../../../src/runtimes/shared/probes/command-verdict.js";

describe("commandVerdict", () => {
  it("the verdict is the last printed line or the exit code", () => {
    expect(commandVerdict(0, "one\nready\n", ["check"])).toBe("ready");
    expect(commandVerdict(0, "", ["check"])).toBe("exit code 0");
    expect(() => commandVerdict(3, "no\n", ["check"])).toThrow("exit code 3: no");
    expect(() => commandVerdict("SIGKILL", "", ["check"])).toThrow("exit code SIGKILL");
  });

  it.each<[number, string]>([
    [127, "sh: 1: curl: not found"],
    [126, "sh: ./check: No such file or directory"],
    [1, 'exec: "curl": executable file not found in $PATH'],
    [255, 'exec failed: unable to start container process: exec: "/x": stat /x: no such file or directory'],
  ])('exit code %i with output "%s" means that the program is missing', (exit, output) => {
    expect(() => commandVerdict(exit, output, ["check"])).toThrow(CheckProgramMissing);
  });

  it.each<[number, string]>([
    [1, "curl: (22) The requested URL returned error: 404 Not Found"],
    [2, "psql: error: connection failed: No such file or directory"],
    [126, "sh: ./check: Permission denied"],
  ])('exit code %i with output "%s" is a failed check', (exit, output) => {
    expect(() => commandVerdict(exit, output, ["check"])).not.toThrow(CheckProgramMissing);
    expect(() => commandVerdict(exit, output, ["check"])).toThrow(`exit code ${exit}`);
  });

  it.each<[number, string, string[]]>([
    [1, "", ["pg_isready", "-q", "-h", "127.0.0.1"]],
    [1, "", ["/bin/sh", "-c", "pg_isready -q -h 127.0.0.1"]],
    [1, "/var/run/postgresql:5432 - rejecting connections", ["/bin/sh", "-c", "pg_isready -U app || exit 1"]],
    [2, "psql: error: FATAL:  the database system is starting up", ["psql", "-c", "select 1"]],
  ])('exit code %i with output "%s" of %j means that PostgreSQL is starting', (exit, output, command) => {
    expect(() => commandVerdict(exit, output, command)).toThrow(ServiceStarting);
    expect(() => commandVerdict(exit, output, command)).toThrow(`exit code ${exit}`);
  });

  it.each<[number, string, string[]]>([
    [0, "LOADING Redis is loading the dataset in memory", ["redis-cli", "ping"]],
    [0, "LOADING Valkey is loading the dataset in memory", ["valkey-cli", "ping"]],
    [
      0,
      "(error) LOADING Redis is loading the dataset in memory\n",
      ["/bin/sh", "-c", "redis-cli -a $P ping || exit 1"],
    ],
    [1, "LOADING Redis is loading the dataset in memory\n", ["redis-cli", "-e", "ping"]],
  ])('exit code %i with output "%s" of %j means that Redis is loading its data', (exit, output, command) => {
    expect(() => commandVerdict(exit, output, command)).toThrow(ServiceStarting);
    expect(() => commandVerdict(exit, output, command)).toThrow(/LOADING .* is loading the dataset/);
  });

  it.each<[string, string[]]>([
    ["PONG", ["redis-cli", "ping"]],
    ["LOADING 3 of 3", ["./check"]],
  ])('exit code 0 with output "%s" of %j is a successful check', (output, command) => {
    expect(commandVerdict(0, output, command)).toBe(output);
  });

  it.each<[number, string, string[]]>([
    [2, "/var/run/postgresql:5432 - no response", ["pg_isready"]],
    [1, "", ["/bin/sh", "-c", "pg_isready -q || exit 1"]],
    [1, "", ["/bin/sh", "-c", "pg_isready -q && test -f /ready"]],
    [1, "", ["check"]],
  ])('exit code %i with output "%s" of %j does not mean that PostgreSQL is starting', (exit, output, command) => {
    expect(() => commandVerdict(exit, output, command)).not.toThrow(ServiceStarting);
    expect(() => commandVerdict(exit, output, command)).toThrow(`exit code ${exit}`);
  });
});
