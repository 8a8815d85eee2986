/**
 * Masks secrets like the engine: values of a container's own secrets in its output become `***`, also across chunks.
 */

/** @param {string[]} values */
export function masking(values) {
  const known = [...new Set(values.flatMap((value) => [value, value.trim()]))]
    .filter((value) => value !== "")
    .map((value) => Buffer.from(value).toString("latin1"))
    .sort((a, b) => b.length - a.length);
  let held = "";
  /** Length of the text's end that may be the beginning of a value. */
  const open = (/** @type {string} */ text) => {
    for (let length = Math.min(text.length, (known[0]?.length ?? 1) - 1); length > 0; length -= 1)
      if (known.some((value) => value.length > length && text.endsWith(value.slice(0, length)))) return length;
    return 0;
  };
  const masked = (/** @type {string} */ text) => known.reduce((one, value) => one.replaceAll(value, "***"), text);
  return {
    /** Output that can be printed now. */
    next(/** @type {Buffer} */ chunk) {
      const text = masked(held + chunk.toString("latin1"));
      const keep = open(text);
      held = text.slice(text.length - keep);
      return Buffer.from(text.slice(0, text.length - keep), "latin1");
    },
    end() {
      const rest = Buffer.from(held, "latin1");
      held = "";
      return rest;
    },
  };
}
