/** Names without `node:crypto`, whose loading takes a fifth of the processor time in which a session starts. */

/** As random as a simulation needs. @param {number} bytes @returns {string} hexadecimal digits */
export const randomHex = (bytes) =>
  Array.from({ length: bytes }, () =>
    Math.floor(Math.random() * 256)
      .toString(16)
      .padStart(2, "0"),
  ).join("");

/** The same name for the same text. */
export class Names {
  #known = new Map();
  #prefix = randomHex(6);

  /** @param {string} text */
  of(text) {
    const name = this.#known.get(text) ?? `${this.#prefix}${this.#known.size}`;
    this.#known.set(text, name);
    return name;
  }
}
