/** `stackwarden token list|add|rotate|remove`: bearer tokens of the HTTP server. A running server applies changes immediately. */
import { EXIT, type ExitCode } from "../exit-codes.js";
import { table } from "../output/table.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CommonOptions } from "../session.js";

export interface TokenOptions extends CommonOptions {
  scope?: "read" | "operate";
}

async function open(options: CommonOptions) {
  const [{ loadConfig }, { TokenStore }] = await Promise.all([
    import("../../config/load.js"),
    import("../../http/tokens.js"),
  ]);
  const config = await loadConfig({ flags: options, env: process.env, cwd: process.cwd() });
  return { tokens: await TokenStore.open(config.stateDir), terminal: createTerminal(options.json === true) };
}

export async function tokenList(options: CommonOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  const list = tokens.list();
  const rows = list.map(({ name, scope, created }) => [name, scope, created]);
  terminal.print(terminal.json ? JSON.stringify({ tokens: list }) : table(["NAME", "SCOPE", "MADE"].map(dim), rows));
  return EXIT.ok;
}

/** Replaces a token of the same name. */
export async function tokenAdd(name: string, options: TokenOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  const scope = options.scope ?? "read";
  const token = await tokens.add(name, scope);
  terminal.print(terminal.json ? JSON.stringify({ name, scope, token }) : token);
  terminal.note(dim("This token is shown only once. A running server accepts it immediately."));
  return EXIT.ok;
}

/** Replaces a token. The old one becomes invalid and its sessions end. */
export async function tokenRotate(name: string, options: CommonOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  const { token, scope } = await tokens.rotate(name);
  terminal.print(terminal.json ? JSON.stringify({ name, scope, token }) : token);
  terminal.note(dim("This token is shown only once. The old one is no longer valid."));
  return EXIT.ok;
}

export async function tokenRemove(name: string, options: CommonOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  await tokens.remove(name);
  terminal.print(terminal.json ? JSON.stringify({ removed: name }) : `Removed ${name}.`);
  return EXIT.ok;
}
