/** What programs of this machine print about themselves. */
import { basename } from "node:path";
import { timeoutSignal } from "../../../system/wait.js";
import type { ProcessHost, RunResult, ServiceUser } from "../types.js";
import { programIdentity } from "./binaries.js";

const TIMEOUT_MS = 20_000;

/** Python prints its version, its build and the machine. */
export const PYTHON_DETAILS: readonly string[] = ["-c", "import os, sys; print(sys.version, os.uname().machine)"];

/** For each server. */
const resultsOf = new WeakMap<object, Map<string, Promise<RunResult>>>();

async function keyOf(program: string, args: readonly string[]): Promise<string> {
  // Some programs behave according to the name that they are called by. Every name of a Python runs the same program.
  const name = args === PYTHON_DETAILS ? "" : basename(program);
  return [await programIdentity(program), name, ...args].join(" ");
}

/**
 * Runs a program as the user of a service. A result without an error is kept until another program takes the place of
 * this one.
 */
export async function programOutput(
  program: string,
  args: readonly string[],
  { host, user }: { host: Pick<ProcessHost, "run">; user: ServiceUser },
): Promise<RunResult> {
  const results = resultsOf.get(host) ?? new Map<string, Promise<RunResult>>();
  resultsOf.set(host, results);
  const key = await keyOf(program, args);
  const running =
    results.get(key) ??
    host.run({
      argv: [program, ...args],
      // In namespaces a program below a home folder can be run, too.
      visible: [],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
      user,
      signal: timeoutSignal(TIMEOUT_MS),
      timeoutMs: TIMEOUT_MS,
    });
  results.set(key, running);
  const forget = (): void => {
    if (results.get(key) === running) results.delete(key);
  };
  try {
    const result = await running;
    if (result.exitCode !== 0) forget();
    return result;
  } catch (error) {
    forget();
    throw error;
  }
}
