/** Health checks of one instance: commands inside its container, connections to its ports. */
import { StackwardenError } from "../../../errors.js";
import type { Healthcheck, HealthTest, ServiceDefinition } from "../../../stack/definition/types.js";
import type { ProbeResult } from "../../../stack/runtime.js";
import { bounded, type Check } from "../../shared/probes/bounded.js";
import { CheckProgramMissing, commandVerdict } from "../../shared/probes/command-verdict.js";
import { networkCheck } from "../../shared/probes/network-check.js";
import { type ExecTarget, execInContainer } from "./exec.js";
import { dialOf, listenCheck, type Reach } from "./reach.js";

export interface ProbeContext {
  service: ServiceDefinition;
  target: ExecTarget;
  reach: Reach;
  hasEnded(): boolean;
}

const KEPT_BYTES = 64 * 1024;
const SHOWN = 200;

const commandCheck =
  ({ target }: ProbeContext, command: readonly string[]): Check =>
  async (signal) => {
    let output = "";
    const { exitCode } = await execInContainer(target, {
      command,
      signal,
      onOutput: (_stream, chunk) => {
        output = (output + chunk.toString()).slice(-KEPT_BYTES);
      },
    }).catch((error: unknown) => {
      if (error instanceof StackwardenError && error.code === "COMMAND_NOT_FOUND")
        throw new CheckProgramMissing(error.message);
      throw error;
    });
    return commandVerdict(exitCode, output, command);
  };

function insideCheck(context: ProbeContext, test: HealthTest | undefined): { check: string; run: Check } | null {
  if (test?.kind !== "cmd" && test?.kind !== "cmd-shell") return null;
  const command = test.kind === "cmd" ? test.argv : ["/bin/sh", "-c", test.command];
  const commandText = test.kind === "cmd" ? test.argv.join(" ") : `sh -c ${test.command}`;
  return { check: `exec ${commandText.slice(0, SHOWN)}`, run: commandCheck(context, command) };
}

export function probeContainer(
  context: ProbeContext,
  healthcheck: Healthcheck,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { test, command, timeoutMs } = healthcheck;
  const { service, reach } = context;
  const remote = reach.address === null && test.kind === "tcp" && reach.hostPort(test.port) === undefined;
  // The command in the compose file tests more of the service than a connection does.
  const chosen = insideCheck(context, command) ??
    insideCheck(context, test) ??
    (remote
      ? { check: `tcp ${service.name}:${test.port}`, run: listenCheck(reach, test.port) }
      : networkCheck({ service, dial: dialOf(reach) }, test)) ?? {
      check: test.kind,
      run: async () => {
        throw new Error("the docker runtime has no check of this kind");
      },
    };
  return bounded(chosen.check, timeoutMs, signal, async (until) => {
    if (context.hasEnded()) throw new Error("the instance has ended");
    return chosen.run(until);
  });
}
