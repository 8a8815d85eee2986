/** A process that initialises a database's data folder as the service's user. */
import type { PrepareContext } from "./launch-plan.js";

export const initStep = (
  { request, stack, user }: PrepareContext,
  { work, env, timeoutMs }: { work: string; env: Record<string, string>; timeoutMs: number },
) => ({
  cwd: work,
  env: { ...env, HOME: work, TMPDIR: work },
  user,
  signal: request.signal,
  timeoutMs,
  project: stack.projectId,
  service: request.service.name,
  limits: request.limits,
  visible: [stack.stateDir],
  // The programs of databases look up the name of their user.
  named: true,
});
