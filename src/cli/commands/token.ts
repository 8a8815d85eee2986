/** `stackwarden token list|add|rotate|remove`: who may call over HTTP. A running server notices at once. */
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

/** A token of the same name is replaced. */
export async function tokenAdd(name: string, options: TokenOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  const scope = options.scope ?? "read";
  const token = await tokens.add(name, scope);
  terminal.print(terminal.json ? JSON.stringify({ name, scope, token }) : token);
  terminal.note(dim("It is shown only now. A running server takes it at once."));
  return EXIT.ok;
}

/** A new token in the place of the old one, which is void from then on: what was opened with it ends. */
export async function tokenRotate(name: string, options: CommonOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  const { token, scope } = await tokens.rotate(name);
  terminal.print(terminal.json ? JSON.stringify({ name, scope, token }) : token);
  terminal.note(dim("It is shown only now; the old one is void."));
  return EXIT.ok;
}

export async function tokenRemove(name: string, options: CommonOptions): Promise<ExitCode> {
  const { tokens, terminal } = await open(options);
  await tokens.remove(name);
  terminal.print(terminal.json ? JSON.stringify({ removed: name }) : `Removed ${name}.`);
  return EXIT.ok;
}
