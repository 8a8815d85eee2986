/** Pauses all processes of a container with the kernel's freezer, through runc on the engine's host. */
import { lastLine } from "../../shared/last-line.js";
import { pauseRefused } from "../../shared/pause-refused.js";
import type { Child } from "../engine/child-exit.js";
import type { Pause } from "./types.js";

/** Milliseconds for the container to freeze or to resume. */
const DEADLINE_MS = 10_000;

/**
 * Pauses a container (argument: its id) until standard input ends. It ends with this server too, however the server
 * ends, so that no container stays paused.
 */
export const PAUSE = `
runc pause "$1" || exit 4
printf 'paused\\n'
cat > /dev/null
runc resume "$1"`;

/** @throws UNSUPPORTED when runc cannot pause the container; then it continues to run */
export async function pauseContainer(child: Child): Promise<Pause> {
  let output = "";
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      output += `${error.message}\n`;
      resolve();
    });
    child.once("close", () => resolve());
  });
  const paused = new Promise<boolean>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.includes("paused")) resolve(true);
    });
    void ended.then(() => resolve(false));
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString("latin1")).slice(-800);
  });
  child.stdin.on("error", () => undefined);
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => {
    released ??= (async () => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
      await ended;
      clearTimeout(timer);
    })();
    return released;
  };
  const timer = setTimeout(() => void release(), DEADLINE_MS);
  const isPaused = await paused;
  clearTimeout(timer);
  if (isPaused && released === undefined) return { release };
  await release();
  throw pauseRefused(output.trim() === "" ? "the engine's host did not pause them in time" : lastLine(output));
}
