/** Input of a tool call with detail: true, for tests that read the whole result. */
import { operations } from "../../src/operations/index.js";

const BRIEF = new Set(operations.filter(({ brief }) => brief !== undefined).map(({ name }) => name));

export const detailed = (name: string, input: object): Record<string, unknown> =>
  BRIEF.has(name) ? { detail: true, ...input } : { ...input };
