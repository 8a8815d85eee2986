/** Reads `depends_on`, and adds the services in `links`. */

import type { Dependency } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";

/** @param links alias → service. As in Compose, linked services start first too. */
export function readDependencies(
  reader: NodeReader | undefined,
  links: Record<string, string> = {},
): Record<string, Dependency> {
  const dependencies: Record<string, Dependency> = Object.create(null);
  const plain: Dependency = { condition: "service_started", restart: false, required: true };
  if (reader?.isList) for (const name of reader.strings("a service's name")) dependencies[name] = { ...plain };
  else
    for (const [name, value] of hasValue(reader) ? reader.entries() : []) {
      const { condition, restart, required } = value.fields(["condition", "restart", "required"]);
      dependencies[name] = {
        condition:
          condition?.oneOf(["service_started", "service_healthy", "service_completed_successfully"]) ?? plain.condition,
        restart: hasValue(restart) ? (restart.boolean() ?? false) : false,
        required: hasValue(required) ? (required.boolean() ?? true) : true,
      };
    }
  for (const service of Object.values(links)) dependencies[service] ??= { ...plain, restart: true };
  return dependencies;
}
