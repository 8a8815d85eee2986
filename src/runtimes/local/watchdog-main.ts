/**
 * The watchdog: a separate process that outlives the server in every case, including SIGKILL. It ends the processes
 * that the server ran, and then itself. It receives groups and cgroups on standard input.
 * Arguments: the run file to remove.
 */
import { watch } from "./process/watchdog-program.js";

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

void watch(process.stdin, process.argv[2]).then(() => process.exit(0));
