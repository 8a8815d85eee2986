/**
 * Writes the data of a Redis or Valkey server to its volume, before the volume is copied: between its own saves, the server
 * holds what was written only in memory.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { timeoutSignal } from "../../system/wait.js";
import type { ServiceDefinition } from "../definition/types.js";
import type { RuntimeService } from "../runtime.js";
import { boundText } from "../text/sanitize-text.js";
import { RUNTIME_TRAITS, type RuntimeName } from "../vocabulary.js";
import { redisServer } from "./service-checks.js";
import type { ServiceController } from "./service-controller.js";

/** Longest save. */
const MAX_MS = 60_000;
const RETRY_MS = 200;
const MAX_OUTPUT = 64 * 1024;
const MAX_REASON = 200;

const SETTINGS = "CONFIG GET appendonly\nCONFIG GET save\n";

/** The client of the server that the instance runs; null when that is neither Redis nor Valkey. */
function clientOf(definition: ServiceDefinition, instance: RuntimeService, runtime: RuntimeName): string | null {
  // The local runtime configures an append-only file, which has every write.
  if (!RUNTIME_TRAITS[runtime].images) return null;
  const program = [...(instance.command ?? []), redisServer(definition, runtime) ?? ""]
    .map((word) => /(?:^|\/)(redis|valkey)-server$/.exec(word)?.[1])
    .find((name) => name !== undefined);
  return program === undefined ? null : `${program}-cli`;
}

/** The password of the server's command, or of its environment. */
function passwordOf({ command = [], environment }: ServiceDefinition): string | undefined {
  const option = /--requirepass[ =]+["']?([^\s"']+)/.exec(command.join(" "))?.[1];
  const variable = /^\$\{?(\w+)\}?$/.exec(option ?? "")?.[1];
  return (variable === undefined ? option : environment[variable]) || environment.REDIS_PASSWORD || undefined;
}

/**
 * Saves the data of a running Redis or Valkey server that saves to its volume now and then. Does nothing for other services,
 * for servers with an append-only file, and for those that never save.
 * @returns why recent data may be missing, as the rest of a sentence; null when nothing is missing
 */
export async function saveRedis(
  unit: ServiceController,
  runtime: RuntimeName,
  caller: AbortSignal,
): Promise<string | null> {
  const { instance, definition } = unit;
  const client = instance === null ? null : clientOf(definition, instance, runtime);
  if (instance === null || client === null) return null;
  const password = passwordOf(definition);
  const environment = password === undefined ? {} : { REDISCLI_AUTH: password, VALKEYCLI_AUTH: password };
  const late = timeoutSignal(MAX_MS);
  const signal = AbortSignal.any([caller, late]);
  const run = async (words: readonly string[], stdin?: string): Promise<string> => {
    let output = "";
    await unit.exec(instance, {
      command: [client, ...words],
      environment,
      ...(stdin === undefined ? {} : { stdin: Buffer.from(stdin) }),
      onOutput: (_stream, chunk) => {
        output = (output + chunk.toString()).slice(-MAX_OUTPUT);
      },
      signal,
    });
    return output;
  };
  try {
    const [name, appendOnly, other, points] = (await run([], SETTINGS)).split("\n").map((line) => line.trim());
    if (name === "appendonly" && appendOnly === "yes") return null;
    if (other === "save" && points === "")
      return "it keeps its data in memory only (no save points, no append-only file)";
    for (;;) {
      const output = (await run(["SAVE"])).trim();
      if (/^OK$/m.test(output)) return null;
      // The server is saving on its own; what was written since may not be in it.
      if (!/background save already in progress/i.test(output) || signal.aborted)
        return late.aborted
          ? `SAVE did not end within ${MAX_MS / 1000} s`
          : reason(unit, output || "SAVE did not answer");
      await sleep(RETRY_MS, undefined, { signal });
    }
  } catch (error) {
    caller.throwIfAborted();
    if (late.aborted) return `SAVE did not end within ${MAX_MS / 1000} s`;
    return reason(unit, (error as Error).message);
  }
}

const reason = (unit: ServiceController, text: string): string =>
  boundText(unit.clean(text.split("\n").find((line) => line.trim() !== "") ?? text), MAX_REASON).replace(/\.$/, "");
