/** Options that several commands share. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { RUNTIMES } from "../stack/vocabulary.js";

export function numberOption(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

export function countOption(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number, 0 or more.");
  return Number(text);
}

export const listOption = (text: string, before: string[] = []): string[] => [...before, text];

/** `backend=8001`, given several times. */
export function portOption(text: string, before: Record<string, number> = {}): Record<string, number> {
  const match = /^([^=]+)=(\d{1,5})$/.exec(text);
  const [, service, port] = match ?? [];
  if (service === undefined) throw new InvalidArgumentError("Write it as service=port, e.g. backend=8001.");
  return { ...before, [service]: Number(port) };
}

/** The server's own settings; see docs/OPERATIONS.md. */
export const withSettings = (command: Command): Command =>
  command
    .option("--config <file>", "read this configuration file only")
    .addOption(new Option("--runtime <name>", "runtime to use").choices(["auto", ...RUNTIMES]))
    .option("--root <folder>", "folder below which projects may lie (may be given several times)", listOption)
    .option("--state-dir <folder>", "where data, logs and passwords are kept")
    .option("--require-enforced-limits", "refuse to start what nothing limits")
    .option("--start-timeout <seconds>", "how long a whole stack may take to become healthy")
    .option("--log-level <level>", "of the server's own log on standard error");

export const withProject = (command: Command): Command =>
  withSettings(command)
    .option("-p, --project <id>", "the project (default: $STACKWARDEN_PROJECT, else the folder's name)")
    .option("--folder <path>", "the project's folder (default: the working directory)")
    .option("--json", "print the result as JSON");

export const withToken = (command: Command): Command =>
  command
    .option("--config <file>", "read this configuration file only")
    .option("--state-dir <folder>", "where data, logs and passwords are kept")
    .option("--json", "print the result as JSON");
