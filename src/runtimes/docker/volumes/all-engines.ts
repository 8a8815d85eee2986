/**
 * Deletes data of a project on all engines that it used. An engine may not answer, or not exist any more: its
 * data stays, and the deletion on the other engines continues.
 */
import { StackwardenError } from "../../../errors.js";
import { type KeptContent, keptAfterRemoval } from "../../shared/kept-content.js";
import type { Engine } from "../engine/engine.js";
import { isConnectionError, unreachable } from "../engine/errors.js";
import type { StackIdentity } from "../leftovers/labels.js";
import { changeEngine, type EngineRecord, forgetEngine, rememberEngine, rememberedEngines } from "./engines.js";
import { removeProject, removeVolumes } from "./remove.js";

type OpenEngine = (host: string) => Promise<Engine>;

interface Unreached {
  record: EngineRecord;
  error: StackwardenError;
}

/**
 * Runs the task on all engines at once.
 * @returns the engines that do not answer
 * @throws the failure of an engine that answers, after the task has ended on all
 */
async function onAll(
  stateDir: string,
  open: OpenEngine,
  task: (engine: Engine, record: EngineRecord) => Promise<void>,
): Promise<Unreached[]> {
  const onOne = async (record: EngineRecord): Promise<Unreached[]> => {
    try {
      const engine = await open(record.host);
      await task(engine, record).finally(() => engine.close());
      return [];
    } catch (cause) {
      const error = isConnectionError(cause) ? unreachable(record.host, cause) : cause;
      if (error instanceof StackwardenError && error.code === "RUNTIME_UNAVAILABLE") return [{ record, error }];
      throw error;
    }
  };
  const results = await Promise.allSettled((await rememberedEngines(stateDir)).map(onOne));
  return results.flatMap((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/**
 * Deletes volumes. From the return on, their names refer to new, empty ones on every engine.
 * @param present address of the engine in use: it must answer
 * @returns sentences about the engines that still hold them
 * @throws RUNTIME_UNAVAILABLE, STORAGE_FAILED
 */
export async function removeOnAll(
  identity: StackIdentity,
  volumes: readonly string[],
  { open, present }: { open: OpenEngine; present: string | null },
): Promise<string[]> {
  const { stateDir } = identity;
  const unreached = await onAll(stateDir, open, async ({ docker }, { host, deleted = [] }) => {
    await removeVolumes(docker, identity, [...volumes, ...deleted]);
    await rememberEngine(stateDir, host);
  });
  for (const { record, error } of unreached) {
    if (record.host === present) throw error;
    const deleted = [...new Set([...(record.deleted ?? []), ...volumes])];
    await changeEngine(stateDir, { ...record, deleted });
  }
  return unreached.map(
    ({ error }) => `the deleted volumes are removed when their engine is used again: ${error.message}`,
  );
}

/**
 * Records an engine on which the project gets volumes, and first deletes those that were deleted while it did not answer.
 * @throws STORAGE_FAILED
 */
export async function useEngine({ docker, address }: Engine, identity: StackIdentity): Promise<void> {
  const { stateDir } = identity;
  const record = (await rememberedEngines(stateDir)).find(({ host }) => host === address.host);
  if (record?.deleted !== undefined) await removeVolumes(docker, identity, record.deleted);
  await rememberEngine(stateDir, address.host);
}

/**
 * Deletes everything of a project.
 * @returns sentences about data that stays on an engine that did not answer an earlier removal either
 * @throws RUNTIME_UNAVAILABLE for an engine that does not answer for the first time; STORAGE_FAILED
 */
export async function removeProjectOnAll(identity: StackIdentity, open: OpenEngine): Promise<string[]> {
  const { stateDir } = identity;
  const unreached = await onAll(stateDir, open, async ({ docker }, { host }) => {
    await removeProject(docker, identity);
    await forgetEngine(stateDir, host);
  });
  const kept = unreached.map(
    ({ record, error }): KeptContent => ({
      engine: record.host,
      reason: error.message,
      failedBefore: record.removalFailed === true,
    }),
  );
  return keptAfterRemoval(identity.projectId, kept, async () => {
    for (const { record } of unreached) await changeEngine(stateDir, { ...record, removalFailed: true });
  });
}
