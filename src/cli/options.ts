/** Options that several commands share. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { RUNTIMES } from "../stack/vocabulary.js";

export function numberOption(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

export function countOption(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Expected an integer, 0 or greater.");
  return Number(text);
}

export const listOption = (text: string, before: string[] = []): string[] => [...before, text];

/** Parses `backend=8001`; the option is repeatable. */
export function portOption(
  text: string,
  before: "auto" | Record<string, number> = {},
): "auto" | Record<string, number> {
  if (text === "auto") return "auto";
  const match = /^([^=]+)=(\d{1,5})$/.exec(text);
  const [, service, port] = match ?? [];
  if (service === undefined)
    throw new InvalidArgumentError("Expected service=port, e.g. backend=8001 or backend:9090=9001, or auto.");
  return { ...(before === "auto" ? {} : before), [service]: Number(port) };
}

/** The settings that have a flag; see docs/OPERATIONS.md. */
export const withSettings = (command: Command): Command =>
  command
    .option("--config <file>", "read only this configuration file")
    .addOption(new Option("--runtime <name>", "runtime to use").choices(["auto", ...RUNTIMES]))
    .option("--root <folder>", "folder that may contain projects (repeatable)", listOption)
    .option("--state-dir <folder>", "folder for data, logs and generated secrets")
    .option("--require-enforced-limits", "refuse to start services whose limits cannot be enforced")
    .option("--start-timeout <seconds>", "time for a stack to become healthy")
    .option("--log-level <level>", "level of the server's log on standard error");

export const withProject = (command: Command): Command =>
  withSettings(command)
    .option("-p, --project <id>", "project id (default: $STACKWARDEN_PROJECT, else the folder's name)")
    .option("--folder <path>", "the project's folder (default: the working directory)")
    .option("--json", "print the result as JSON");

export const withToken = (command: Command): Command =>
  command
    .option("--config <file>", "read only this configuration file")
    .option("--state-dir <folder>", "folder for data, logs and generated secrets")
    .option("--json", "print the result as JSON");
