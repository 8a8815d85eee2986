/** Arguments of a tool call whose test reads the whole answer instead of the brief one. */
import { operations } from "../../src/operations/index.js";

const BRIEF = new Set(operations.filter(({ brief }) => brief !== undefined).map(({ name }) => name));

export const detailed = (name: string, input: object): Record<string, unknown> =>
  BRIEF.has(name) ? { detail: true, ...input } : { ...input };
