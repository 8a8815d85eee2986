declare const __STACKWARDEN_VERSION__: string | undefined;

/** Inserted by scripts/build.mjs from package.json. Unbundled sources (tests) have no version. */
export const VERSION: string =
  typeof __STACKWARDEN_VERSION__ === "undefined" ? "0.0.0-source" : __STACKWARDEN_VERSION__;
