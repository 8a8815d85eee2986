/** Removes all cgroups of an engine. @returns processes that were still in them */
export function removeEngineCgroups(engine: { folder: string }): number[];
