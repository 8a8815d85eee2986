/**
 * The watchdog: a process of its own that outlives the server in whatever way that ends, SIGKILL included, ends what
 * the server ran, and then itself. It hears of groups and cgroups on standard input.
 * Arguments: the run file to remove.
 */
import { watch } from "./process/watchdog-program.js";

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

await watch(process.stdin, process.argv[2]);
process.exit(0);
