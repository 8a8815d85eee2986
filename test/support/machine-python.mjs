/** The machine's Python. What `python3` names can be a script that takes longer to find it than it takes to run. */
import { execFileSync } from "node:child_process";

/** Its result, for programs that a test starts. */
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
