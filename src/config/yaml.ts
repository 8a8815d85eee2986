/** The YAML reader behind a module of our own: in a bundle a package of this kind, imported when needed, has no names. */
export { isNode, LineCounter, parseDocument } from "yaml";
export { exceededLimit } from "../stack/definition/yaml-limits.js";
