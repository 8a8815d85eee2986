/** Limits of services whose definition sets none. */
import type { Limits } from "../../stack/definition/types.js";
import { DEFAULT_PIDS } from "../../stack/schemas/limits.js";

/** Adds the limits that apply to a service without its own. */
export const withDefaults = (limits: Limits): Limits => ({ ...limits, pids: limits.pids ?? DEFAULT_PIDS });
