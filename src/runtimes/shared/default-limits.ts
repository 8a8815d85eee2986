/** Limits of services whose definition sets none. */
import type { Limits } from "../../stack/definition/types.js";

/** Maximum number of processes and threads: more than databases need, less than a fork bomb. */
const DEFAULT_PIDS = 2048;

/** Adds the limits that apply to a service without its own. */
export const withDefaults = (limits: Limits): Limits => ({ ...limits, pids: limits.pids ?? DEFAULT_PIDS });
