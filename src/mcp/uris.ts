/** URIs of the resources. */
import { PROTOTYPE_KEYS } from "../operations/fields.js";

export type StackResource =
  | { kind: "stack" | "health" | "events"; project: string }
  | { kind: "logs"; project: string; service: string };

const FORM = /^stack:\/\/([a-z0-9][a-z0-9_-]{0,62})(?:\/(health|events)|\/logs\/([A-Za-z0-9][A-Za-z0-9._-]{0,62}))?$/;

/** Parses a resource URI. Null for any other URI. */
export function parseUri(uri: string): StackResource | null {
  const match = FORM.exec(uri);
  if (match === null) return null;
  const [, project = "", part, service] = match;
  if (PROTOTYPE_KEYS.has(project)) return null;
  if (service !== undefined) return { kind: "logs", project, service };
  return { kind: part === undefined ? "stack" : (part as "health" | "events"), project };
}

export function uriOf(resource: StackResource): string {
  const base = `stack://${resource.project}`;
  if (resource.kind === "stack") return base;
  return resource.kind === "logs" ? `${base}/logs/${resource.service}` : `${base}/${resource.kind}`;
}
