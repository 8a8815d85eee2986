// The dashboard as one HTML document: its script and style are bundled, made small, and put inside.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

/** What light-dark(), nesting and Trusted Types need, or do without. */
const TARGET = ["chrome123", "firefox121", "safari17.5"];

/** @returns {Promise<string>} */
export async function dashboardPage() {
  const { build, transform } = await import("esbuild");
  const folder = join(root, "src", "dashboard", "client");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [join(folder, "main.ts")],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    target: TARGET,
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    define: { __STACKWARDEN_VERSION__: JSON.stringify(version) },
  });
  const style = await transform(readFileSync(join(folder, "style.css"), "utf8"), {
    loader: "css",
    minify: true,
    target: TARGET,
    charset: "utf8",
  });
  const script = outputFiles[0]?.text ?? "";
  return (
    readFileSync(join(folder, "index.html"), "utf8")
      // Functions, because a `$` in what is put in would be read as a pattern.
      .replace("<!--style-->", () => `<style>${style.code.trim()}</style>`)
      .replace("<!--script-->", () => `<script>${script.trim()}</script>`)
  );
}
