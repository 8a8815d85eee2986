/**
 * The watchdog of the docker runtime: a separate process that outlives the server in every case, including SIGKILL. It
 * removes the server's containers and networks, and then ends itself.
 * Arguments: the value of the label on the server's containers and networks.
 */
import { watch } from "./leftovers/watchdog-program.js";

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

void watch(process.stdin, process.argv[2] ?? "").then(() => process.exit(0));
