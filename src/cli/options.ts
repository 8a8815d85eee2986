/** Options that several commands share. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { FLAG_SETTINGS, flagName } from "../config/flags.js";
import type { Setting } from "../config/settings.js";
import { CLIENTS, type ClientName } from "./init/clients.js";

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

export function clientOption(text: string, before: ClientName[] = []): ClientName[] {
  const name = CLIENTS.find((one) => one === text);
  if (name === undefined) throw new InvalidArgumentError(`Expected one of ${CLIENTS.join(", ")}.`);
  return [...before, name];
}

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

function settingOptions(command: Command, settings: readonly Setting[]): Command {
  for (const { flag, help, placeholder, choices, kind } of settings) {
    if (flag === undefined) continue;
    const option = new Option([flagName(flag), placeholder].filter(Boolean).join(" "), help);
    if (choices !== undefined) option.choices(choices);
    if (kind === "paths") option.argParser(listOption);
    command.addOption(option);
  }
  return command;
}

const withConfigFile = (command: Command): Command =>
  command.option("--config <file>", "read only this configuration file");

/** The settings that have a flag; see docs/OPERATIONS.md. */
export const withSettings = (command: Command): Command =>
  settingOptions(
    withConfigFile(command),
    FLAG_SETTINGS.filter(({ agents }) => agents !== true),
  );

/** Those of a server for agents, too. */
export const withAgentSettings = (command: Command): Command => settingOptions(withConfigFile(command), FLAG_SETTINGS);

export const withProject = (command: Command): Command =>
  withSettings(command)
    .option("-p, --project <id>", "project id (default: $STACKWARDEN_PROJECT, else the folder's project)")
    .option("--folder <path>", "the project's folder (default: the working directory)")
    .option("--json", "print the result as JSON");

export const withToken = (command: Command): Command =>
  settingOptions(
    withConfigFile(command),
    FLAG_SETTINGS.filter(({ flag }) => flag === "stateDir"),
  ).option("--json", "print the result as JSON");
