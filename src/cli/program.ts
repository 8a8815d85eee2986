import { Command, CommanderError } from "commander";
import { VERSION } from "../version.js";
import { EXIT } from "./exit-codes.js";

/** The whole command line. Commands add themselves; none of them is loaded with its heavy parts here. */
export function buildProgram(): Command {
  const program = new Command("stackwarden")
    .description("Starts and operates a hardened multi-service development stack, for agents (MCP) and people.")
    .version(VERSION, "-V, --version", "print the version")
    .exitOverride()
    .showHelpAfterError("(stackwarden --help lists the commands)");
  program
    .command("version")
    .description("print the version")
    .action(() => {
      process.stdout.write(`${VERSION}\n`);
    });
  return program;
}

/**
 * Runs one command to its end.
 * @returns the exit code (see EXIT)
 */
export async function runCli(argv: string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  }
}
