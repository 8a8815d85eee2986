/** `stackwarden dashboard`: a link to the dashboard of the background server, opened in the browser. */
import { pathToFileURL } from "node:url";
import { StackwardenError } from "../../errors.js";
import { VERSION } from "../../version.js";
import { clientConfiguration } from "../daemon-client.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CliHost, CommonOptions } from "../session.js";

export interface DashboardOptions extends CommonOptions {
  /** False: print the link only. */
  open?: boolean;
}

export async function dashboard(options: DashboardOptions, host: CliHost): Promise<ExitCode> {
  const [{ stateDirOf }, { connectToDaemon }] = await Promise.all([
    import("../../config/state-dir.js"),
    import("../../daemon/connect.js"),
  ]);
  const { env } = process;
  const terminal = createTerminal(options.json === true);
  const stateDir = await stateDirOf({ flags: options, env, cwd: process.cwd() });
  const connected = await connectToDaemon({
    stateDir,
    version: VERSION,
    purpose: "dashboard",
    ...(await clientConfiguration(options)),
    start: { program: host.program, env },
  });
  connected?.socket.destroy();
  const link = connected?.welcome.dashboard;
  if (link === undefined)
    throw new StackwardenError("SERVER_UNAVAILABLE", "The background server did not return a dashboard link.", {
      hint: "Restart it: stackwarden server stop",
    });
  const page = `${link.url}/#token=${link.token}`;
  const opened = options.open !== false && hasBrowser() && (await openPage(page, stateDir));
  const address = process.stdout.isTTY === true ? page : `${link.url}/`;
  if (terminal.json) terminal.print(JSON.stringify({ url: address, opened }));
  else terminal.print(`dashboard  ${address}`);
  if (opened) terminal.note(dim("Opened in the browser."));
  else if (address !== page) terminal.note(dim("Run this command on a terminal to get the link with its token."));
  return EXIT.ok;
}

/** Whether this process can show a page to its user. */
function hasBrowser(): boolean {
  const { DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = process.env;
  if (SSH_CONNECTION !== undefined) return false;
  return process.platform !== "linux" || DISPLAY !== undefined || WAYLAND_DISPLAY !== undefined;
}

/**
 * Opens the page through a private file: other users can read the arguments of a browser's process, and the link
 * contains a token.
 */
async function openPage(page: string, stateDir: string): Promise<boolean> {
  const [{ atomicWrite }, { withTrustedPath }, { redirectPage }, { default: open }] = await Promise.all([
    import("../../system/atomic-write.js"),
    import("../../system/find-program.js"),
    import("../dashboard-host.js"),
    import("open"),
  ]);
  const file = redirectPage(stateDir);
  await atomicWrite(
    file,
    `<!doctype html><meta charset="utf-8"><title>stackwarden</title><meta http-equiv="refresh" content="0; url=${page}"><a href="${page}">Open the dashboard</a>\n`,
  );
  // The opener of the system looks up programs itself, and gets the token: none of a project may be among them.
  process.env.PATH = (await withTrustedPath(process.env)).PATH;
  return open(pathToFileURL(file).href).then(
    () => true,
    () => false,
  );
}
