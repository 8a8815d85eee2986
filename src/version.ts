declare const __STACKWARDEN_VERSION__: string | undefined;

/** Put in by scripts/build.mjs from package.json; unbundled sources (tests) have no version of their own. */
export const VERSION: string =
  typeof __STACKWARDEN_VERSION__ === "undefined" ? "0.0.0-source" : __STACKWARDEN_VERSION__;
