/** Numbers in files of the kernel. */

/** Null for text that is not a number. */
export const numberOf = (text: string | null | undefined): number | null => {
  const value = text === null || text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
};

/** The number after a name, in a file that has `name number` in each line. */
export const keyed = (text: string | null, name: string): number | null =>
  numberOf(new RegExp(`^${name} (\\d+)$`, "m").exec(text ?? "")?.[1]);
