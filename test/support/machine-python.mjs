/** The machine's Python. `python3` can be a script that takes longer to find the program than the program to run. */
import { execFileSync } from "node:child_process";

/** The variable with its result, for programs that a test starts. */
export const PYTHON_VARIABLE = "DAGGER_SIM_PYTHON";

/** @type {[string, string] | undefined} */
let known;

/** @returns {[string, string]} folder of its installation, and its program */
export function machinePython() {
  const program = "import json, sys; print(json.dumps([sys.base_prefix, sys.executable]))";
  known ??= JSON.parse(
    process.env[PYTHON_VARIABLE] ?? execFileSync("python3", ["-c", program], { encoding: "utf8" }).trim(),
  );
  return /** @type {[string, string]} */ (known);
}
