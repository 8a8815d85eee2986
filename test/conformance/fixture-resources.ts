import type { ReadResourceResult } from "@modelcontextprotocol/sdk/types.js";
import { PNG } from "./fixture-tools.js";

const fixture = (uri: string, mimeType: string) => ({
  uri,
  name: uri,
  description: "Fixture of the conformance suite.",
  mimeType,
});

export const FIXTURE_RESOURCES = [
  fixture("test://static-text", "text/plain"),
  fixture("test://static-binary", "image/png"),
  fixture("test://watched-resource", "text/plain"),
];

export const FIXTURE_TEMPLATES = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "Fixture of the conformance suite.",
    mimeType: "application/json",
  },
];

/** Undefined: no fixture. */
export function readFixtureResource(uri: string): ReadResourceResult | undefined {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { contents: [{ uri, mimeType: "application/json", text }] };
  }
  if (uri === "test://static-binary") return { contents: [{ uri, mimeType: "image/png", blob: PNG }] };
  if (uri === "test://static-text")
    return { contents: [{ uri, mimeType: "text/plain", text: "This is the content of the static text resource." }] };
  if (uri === "test://watched-resource") return { contents: [{ uri, mimeType: "text/plain", text: "Watched." }] };
  return undefined;
}
