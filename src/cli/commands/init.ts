/**
 * `stackwarden init`: looks at the folder, and writes what is missing to run it here and in an MCP client. Without --yes
 * it only shows what it would write.
 */
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { analyseFolder, type FolderAnalysis, suggestedCompose } from "../../stack/definition/folder-analysis.js";
import { realPath } from "../../system/real-path.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { type ClientName, clientFile } from "../init/clients.js";
import { newFile, type PlannedFile, withClient, writePlanned } from "../init/planned-file.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CliHost } from "../session.js";

export interface InitOptions {
  folder?: string;
  client?: ClientName[];
  yes?: boolean;
  json?: boolean;
}

const OWN_FILE = "compose.stackwarden.yaml";
const HEADER = "# How stackwarden runs this project. `stackwarden init` wrote it; correct it where it is wrong.\n";

/** Sentences about what the folder holds. */
function findings({ composeFiles, otherComposeFiles, programs }: FolderAnalysis): string[] {
  return [
    ...composeFiles.map((file) => `${file} describes the stack.`),
    ...otherComposeFiles.map((file) => `${file} is a compose file with a name that Compose does not look for.`),
    ...programs.map(({ at, description }) => `${at === "" ? "This folder" : `${at}/`} holds ${description}.`),
  ];
}

function nextStep(analysis: FolderAnalysis, compose: boolean): string {
  if (analysis.composeFiles.length > 0) return "Nothing is missing. `stackwarden config` checks the compose file.";
  if (compose) return "Start it: `stackwarden up`.";
  return analysis.programs.length === 0
    ? "The folder has neither a program nor a compose file: `stackwarden up` starts the built-in stack."
    : "The commands of the programs are unknown: write compose.yaml with a service for each program (docs/COMPOSE.md).";
}

const VERB = { create: "Create", add: "Add to", present: "Unchanged:", manual: "Add by hand to" } as const;
const DONE = { ...VERB, create: "Created", add: "Added to" } as const;

export async function init(options: InitOptions, host: CliHost): Promise<ExitCode> {
  const terminal = createTerminal(options.json === true);
  const folder = realPath(resolve(options.folder ?? "."));
  const analysis = analyseFolder(folder);
  const suggested = suggestedCompose(analysis);
  const files: (PlannedFile & { next?: string })[] = [];
  if (suggested !== null) files.push(newFile(join(folder, OWN_FILE), `${HEADER}${suggested.text}`));
  const place = { folder, home: homedir(), platform: process.platform, env: process.env, program: host.program };
  for (const client of new Set(options.client ?? [])) {
    const file = clientFile(client, place);
    files.push({ ...withClient(file, folder), next: file.next });
  }
  const writes = options.yes === true;
  if (writes) for (const file of files) await writePlanned(file);
  const assumptions = suggested?.assumptions ?? [];
  const next = nextStep(analysis, suggested !== null);
  const manual = files.some(({ action }) => action === "manual");
  if (terminal.json)
    terminal.print(JSON.stringify({ folder, written: writes, findings: findings(analysis), assumptions, files, next }));
  else {
    const shown = (path: string): string => (path.startsWith(folder) ? relative(folder, path) : path);
    const lines = [
      ...findings(analysis),
      ...assumptions.map((text) => `Assumed: ${text}`),
      ...files.flatMap(({ path, action, text, reason, next: after }) => [
        "",
        `${(writes ? DONE : VERB)[action]} ${shown(path)}${reason === undefined ? "" : ` (${reason})`}`,
        ...(action === "present" || (writes && action !== "manual") ? [] : [dim(text.trimEnd())]),
        ...(after === undefined || action === "present" ? [] : [after]),
      ]),
      "",
      next,
      ...(writes || !files.some(({ action }) => action === "create" || action === "add")
        ? []
        : ["Nothing was written. Write these files: `stackwarden init --yes`, with the same options."]),
    ];
    terminal.print(lines.join("\n"));
  }
  return manual ? EXIT.failure : EXIT.ok;
}
