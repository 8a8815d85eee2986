/**
 * The watchdog of the docker runtime: a process of its own that outlives the server in whatever way that ends, SIGKILL
 * included, removes the server's containers and networks, and then ends itself.
 * Arguments: the value of the label on what is the server's.
 */
import { watch } from "./leftovers/watchdog-program.js";

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

await watch(process.stdin, process.argv[2] ?? "");
process.exit(0);
