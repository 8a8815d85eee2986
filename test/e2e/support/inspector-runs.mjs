/**
 * Runs the Inspector's command line several times in one process, as its launcher does, because it takes longer to load than
 * to run. Standard input: the module of the command line and the arguments of each run. Standard output: their results.
 */
import { text } from "node:stream/consumers";

class Exit extends Error {
  /** @param {number | string | null | undefined} code */
  constructor(code) {
    super("The command line ends the process.");
    this.code = Number(code ?? 0);
  }
}

const { module, runs } = JSON.parse(await text(process.stdin));
const { runCli, handleError } = await import(module);
const { stdout, stderr } = process;
const write = { stdout: stdout.write, stderr: stderr.write };
process.exit = (code) => {
  throw new Exit(code);
};

/** @param {string[]} args */
async function run(args) {
  const result = { code: 0, stdout: "", stderr: "" };
  for (const name of /** @type {const} */ (["stdout", "stderr"]))
    process[name].write = (/** @type {unknown} */ chunk, /** @type {unknown[]} */ ...rest) => {
      result[name] += chunk;
      const written = rest.at(-1);
      if (typeof written === "function") written();
      return true;
    };
  try {
    await runCli([process.execPath, "mcp-inspector", ...args]).catch((/** @type {unknown} */ error) => {
      if (error instanceof Exit) throw error;
      return handleError(error);
    });
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    result.code = error.code;
  } finally {
    Object.assign(stdout, { write: write.stdout });
    Object.assign(stderr, { write: write.stderr });
  }
  return result;
}

const results = [];
for (const args of runs) results.push(await run(args));
stdout.write(JSON.stringify(results));
