/** Health checks of one instance: commands inside its container, network checks through the session's gateway. */
import type { Healthcheck, HealthTest, ServiceDefinition } from "../../../stack/definition/types.js";
import type { ProbeResult } from "../../../stack/runtime.js";
import { bounded, type Check } from "../../shared/probes/bounded.js";
import { commandVerdict } from "../../shared/probes/command-verdict.js";
import type { Dial } from "../../shared/probes/dial.js";
import { networkCheck } from "../../shared/probes/network-check.js";
import type { EngineHost } from "../engine-host/types.js";
import { checkWords } from "../entry/entry-script.js";
import type { SecretArgs } from "../entry/secret-args.js";
import type { EntryLoop } from "./entry-loop.js";

export interface ProbeContext {
  service: ServiceDefinition;
  host: EngineHost;
  /** runc's id; null when the host is not reachable or never listed the instance. */
  containerId: string | null;
  /** Results of the entry script's own loop; null when it runs no loop. */
  loop: EntryLoop | null;
  dial: Dial;
  hidden: SecretArgs;
  hasEnded(): boolean;
}

/** Additional time for a command: the caller's own limit expires first and gives the better message. */
const BACKUP_MS = 2000;

const execCheck =
  ({ host, hidden }: ProbeContext, id: string, words: string[], timeoutMs: number): Check =>
  async (signal) => {
    const argv = hidden.command(words);
    const { exitCode, output } = await host.exec(id, { argv, timeoutMs: timeoutMs + BACKUP_MS, signal });
    return commandVerdict(exitCode, output, words);
  };

const loopCheck =
  (loop: EntryLoop, words: readonly string[]): Check =>
  async (signal) => {
    const { exitCode, timedOut, output } = await loop.result(signal);
    if (timedOut) throw new Error("the check did not end in time");
    return commandVerdict(exitCode, output, words);
  };

/** The command that runs inside the container, if any. */
function insideCheck(context: ProbeContext, test: HealthTest, timeoutMs: number): { check: string; run: Check } | null {
  if (test.kind !== "cmd" && test.kind !== "cmd-shell") return null;
  const { containerId, loop, hidden } = context;
  const commandText = test.kind === "cmd-shell" ? `sh -c ${test.command}` : test.argv.join(" ");
  const check = `exec ${hidden.masked(commandText)}`;
  const words = checkWords(test);
  if (containerId !== null) return { check, run: execCheck(context, containerId, words, timeoutMs) };
  return loop?.runs(test) === true ? { check: `${check} (by the entry script)`, run: loopCheck(loop, words) } : null;
}

export function probeInstance(
  context: ProbeContext,
  healthcheck: Healthcheck,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { test, command, timeoutMs } = healthcheck;
  // The command in the compose file tests more of the service than a connection does; it needs access to the container.
  const chosen = (command === undefined ? null : insideCheck(context, command, timeoutMs)) ??
    insideCheck(context, test, timeoutMs) ??
    networkCheck(context, test) ?? {
      check: "exec",
      run: async () => {
        throw new Error(
          "the command cannot run inside the container: the engine's host is out of reach and the entry script does not run it",
        );
      },
    };
  return bounded(chosen.check, timeoutMs, signal, async (until) => {
    if (context.hasEnded()) throw new Error("the instance has ended");
    return chosen.run(until);
  });
}
