/**
 * Runs commands of the built program one after the other in this process: most of a short command's processor time is
 * the start of Node.js and the loading of modules. `commands.ts` sends the requests.
 */
import { readFileSync } from "node:fs";

const [, , binary = ""] = process.argv;
const text = readFileSync(binary, "utf8");
/** @param {string} name */
const chunk = (name) => {
  const [path] = new RegExp(`chunks/${name}-\\w+\\.js`).exec(text) ?? [];
  if (path === undefined) throw new Error(`${binary} loads no chunk ${name}`);
  return import(new URL(path, `file://${binary}`).href);
};
const { runCli } = await chunk("program");

/** @type {{ composeManager: (...given: unknown[]) => Promise<unknown>, program: string }} */
const host = {
  composeManager: async (...given) => (await chunk("composition")).composeManager(...given),
  program: binary,
};

/** @param {{ args: string[], cwd: string, env: Record<string, string>, end: string }} request */
async function serve({ args, cwd, env, end }) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  const code = await runCli(args, host);
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
