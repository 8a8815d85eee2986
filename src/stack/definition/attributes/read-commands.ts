/** `x-commands`: commands that callers may run in a service, by name. */
import type { NodeReader } from "./node-reader.js";
import { readCommand } from "./read-command.js";

const COMMAND_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,62}$/;

export function readCommands(reader: NodeReader): Record<string, string[]> {
  const commands: Record<string, string[]> = Object.create(null);
  for (const [name, value] of reader.entries()) {
    if (!COMMAND_NAME.test(name))
      value.invalid("has an invalid name", "A command's name has 1 to 63 letters, digits, . _ : or -.");
    else {
      const argv = readCommand(value);
      if (argv !== undefined && (argv[0] ?? "") !== "") commands[name] = argv;
      else value.invalid("is empty", 'Write a list: ["program", "argument"].');
    }
  }
  return commands;
}
