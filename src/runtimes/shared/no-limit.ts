import type { Enforcement } from "../../stack/runtime.js";

/** The enforcement of a limit that can be read and has no value. */
export const NO_LIMIT: Enforcement = { level: "none", reason: "no limit was requested" };
