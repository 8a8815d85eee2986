/** The configuration of stackwarden in each MCP client, in the file and format that the client documents. */
import { join } from "node:path";

export const CLIENTS = ["claude-code", "claude-desktop", "vscode", "cursor", "codex", "zed", "windsurf"] as const;
export type ClientName = (typeof CLIENTS)[number];

export interface ClientFile {
  /** Absolute path. */
  path: string;
  format: "json" | "toml";
  /** Keys that lead to the entry of the server, its own last. */
  keys: readonly string[];
  entry: Record<string, unknown>;
  /** What the user does next. */
  next: string;
}

export interface ClientPlace {
  /** The project's folder, absolute. */
  folder: string;
  home: string;
  platform: NodeJS.Platform;
  env: NodeJS.ProcessEnv;
  /** Path of the stackwarden program that runs now. */
  program: string;
}

/** `npx` for an installed package; the program itself in a clone. */
export function serverCommand(program: string): string[] {
  return /[\\/]node_modules[\\/]/.test(program) ? ["npx", "-y", "stackwarden"] : ["node", program];
}

function desktopFile({ home, platform, env }: ClientPlace): string {
  const name = "claude_desktop_config.json";
  if (platform === "darwin") return join(home, "Library", "Application Support", "Claude", name);
  if (platform === "win32") return join(env.APPDATA ?? join(home, "AppData", "Roaming"), "Claude", name);
  return join(env.XDG_CONFIG_HOME ?? join(home, ".config"), "Claude", name);
}

const NAME = "stackwarden";

/**
 * Files in the project's folder where the client reads them there. Clients that start servers elsewhere get the
 * project's folder as the allowed root.
 */
export function clientFile(client: ClientName, place: ClientPlace): ClientFile {
  const { folder, home, program } = place;
  const [command = "", ...args] = serverCommand(program);
  const entry = (...more: string[]) => ({ command, args: [...args, "mcp", ...more] });
  const json = (path: string, section: string, value: Record<string, unknown>, next: string): ClientFile => ({
    path,
    format: "json",
    keys: [section, NAME],
    entry: value,
    next,
  });
  switch (client) {
    case "claude-code":
      return json(
        join(folder, ".mcp.json"),
        "mcpServers",
        { type: "stdio", ...entry() },
        "Start `claude` in the folder and approve the server.",
      );
    case "vscode":
      return json(
        join(folder, ".vscode", "mcp.json"),
        "servers",
        { type: "stdio", ...entry("--root", "$".concat("{workspaceFolder}")) },
        "Open the folder in VS Code and start the server in the file.",
      );
    case "cursor":
      return json(
        join(folder, ".cursor", "mcp.json"),
        "mcpServers",
        entry("--root", "$".concat("{workspaceFolder}")),
        "Open the folder in Cursor and switch the server on in its settings.",
      );
    case "zed":
      return json(
        join(folder, ".zed", "settings.json"),
        "context_servers",
        { ...entry("--root", folder), env: {} },
        "Open the folder in Zed and trust it.",
      );
    case "claude-desktop":
      return json(desktopFile(place), "mcpServers", entry("--root", folder), "Restart Claude Desktop.");
    case "windsurf":
      return json(
        join(home, ".codeium", "windsurf", "mcp_config.json"),
        "mcpServers",
        entry("--root", folder),
        "Refresh the MCP servers in Windsurf.",
      );
    case "codex":
      return {
        path: join(folder, ".codex", "config.toml"),
        format: "toml",
        keys: ["mcp_servers", NAME],
        entry: entry("--root", folder),
        next: "Start `codex` in the folder and trust the project.",
      };
  }
}
