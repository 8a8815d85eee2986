/** What every command has in common. */
import type { ExitCode } from "./exit-codes.js";

/** @returns the exit code of `run`, or of its failure, which is shown */
export async function reportingFailure(argv: readonly string[], run: () => Promise<ExitCode>): Promise<ExitCode> {
  // A closed pipe (`| head`) is not an error.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    return await run();
  } catch (error) {
    const { reportFailure } = await import("./failure.js");
    return reportFailure(error, argv.includes("--json"));
  }
}
