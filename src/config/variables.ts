/** Settings as environment variables and text. */
import { delimiter } from "node:path";
import { editDistance } from "../system/edit-distance.js";
import { type Kind, SETTINGS } from "./settings.js";

/** Read elsewhere than in the table. */
const OTHER_VARIABLES = [
  "STACKWARDEN_CONFIG",
  "STACKWARDEN_NAMESPACES",
  "STACKWARDEN_PROGRAM_DIRS",
  "STACKWARDEN_PROJECT",
  "STACKWARDEN_TEST_SUMMARY",
];

/** Text becomes the kind's type where it can; what cannot is left for the schema to refuse. */
export function parseText(kind: Kind | undefined, text: string): unknown {
  switch (kind) {
    case "boolean":
      if (/^(1|true|yes|on)$/i.test(text)) return true;
      if (/^(0|false|no|off)$/i.test(text)) return false;
      return text;
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "paths":
      return text.split(delimiter).filter((part) => part !== "");
    case "list":
      return text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
    default:
      return text;
  }
}

/** A sentence for each variable that begins with `STACKWARDEN_` and has no meaning: most often a spelling mistake. */
export function misspeltVariables(env: NodeJS.ProcessEnv): string[] {
  const variableNames = [...SETTINGS.flatMap(({ env }) => env ?? []), ...OTHER_VARIABLES];
  return Object.keys(env)
    .filter((name) => name.startsWith("STACKWARDEN_") && !variableNames.includes(name))
    .sort()
    .map((name) => {
      const nearest = variableNames
        .map((one) => ({ one, distance: editDistance(one, name) }))
        .sort((a, b) => a.distance - b.distance)[0];
      const hint = nearest !== undefined && nearest.distance <= 3 ? ` Did you mean ${nearest.one}?` : "";
      return `The environment variable ${name} is not a setting and has no effect.${hint}`;
    });
}
