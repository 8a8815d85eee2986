import type { StackDefinition } from "./types.js";

/** Volumes in use, and the named ones of services that are not active. */
export const allVolumes = ({ volumes, declaredVolumes = [] }: StackDefinition): string[] => [
  ...new Set([...volumes, ...declaredVolumes]),
];
