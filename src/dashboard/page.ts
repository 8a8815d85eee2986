/** The built page of the dashboard: one document with its style and script, which loads nothing else. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackwardenError } from "../errors.js";

/** How the page reaches its server: REST with a token, or the host of an MCP App. */
export type PageHost = "http" | "mcp-app";

export interface PageOptions {
  door: PageHost;
  /** The permitted actions. Over HTTP the page reads them from the server, which knows the token. Default `operate`. */
  scope?: "read" | "operate";
  /** The permitted commands. Over HTTP the page reads them from the server. Default `any`. */
  commands?: "any" | "declared" | "off";
}

let built: Promise<string> | undefined;

function file(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    for (const candidate of [join(folder, "dashboard.html"), join(folder, "dist", "dashboard.html")])
      if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder)
      throw new StackwardenError("NOT_FOUND", "The dashboard's page has not been built.", {
        hint: "The operator builds it with `npm run build`.",
      });
  }
}

/** @throws NOT_FOUND when it was not built */
export async function dashboardPage({ door, scope = "operate", commands = "any" }: PageOptions): Promise<string> {
  built ??= readFile(file(), "utf8").catch((error: unknown) => {
    // Not kept: the next reader tries again.
    built = undefined;
    throw error;
  });
  // Attributes, not script: the script's hash stays the same.
  return (await built).replace(
    "<html ",
    `<html data-door="${door}" data-scope="${scope}" data-commands="${commands}" `,
  );
}

const hashes = (html: string, tag: "script" | "style"): string =>
  [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g"))]
    .map(([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`)
    .join(" ");

/**
 * Only this very script and style run, only this very server is called, and no text can become markup: what services
 * print is shown by this page.
 */
export const contentSecurityPolicy = (html: string): string =>
  [
    "default-src 'none'",
    `script-src ${hashes(html, "script")}`,
    `style-src ${hashes(html, "style")}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
