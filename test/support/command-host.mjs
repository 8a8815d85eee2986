/**
 * Runs commands of the built program one after the other in this process: most of a short command's processor time is
 * the start of Node.js and the loading of modules. `commands.ts` sends the requests.
 */
import { pathToFileURL } from "node:url";

const [, , binary = ""] = process.argv;
const { runCommand } = await import(new URL("chunks/run-command.mjs", pathToFileURL(binary)).href);

/** @param {{ args: string[], cwd: string, env: Record<string, string>, end: string }} request */
async function serve({ args, cwd, env, end }) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  const code = await runCommand(args, binary);
  // Each command adds listeners, which end with the process of a command that runs alone.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(signal);
  // Not in a folder whose processes a test counts.
  process.chdir("/");
  process.stderr.write(end);
  process.stdout.write(`${end}${code}\n`);
}

process.setMaxListeners(0);
process.on("message", (request) => void serve(/** @type {Parameters<typeof serve>[0]} */ (request)));
process.send?.("ready");
