// `npm run demo` from a clean clone: set-up, build, then the demonstration itself (scripts/demo.mjs).
import { join } from "node:path";
import { root, run } from "./lib/run.mjs";

const script = (name) => join(root, "scripts", name);
for (const name of ["setup.mjs", "build.mjs"]) {
  if (!run(process.execPath, [script(name)])) process.exit(1);
}
const ok = run(process.execPath, [script("demo.mjs"), ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = ok ? 0 : 1;
