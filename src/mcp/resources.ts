/** Stacks as MCP resources. */
import type { ReadResourceResult, Resource, ResourceTemplate } from "@modelcontextprotocol/sdk/types.js";
import type { LogLine } from "../stack/logs/types.js";
import type { CallContext, StackManager } from "../stack/model.js";
import { readFailure, resourceNotFound } from "./errors.js";
import { UNTRUSTED } from "./untrusted.js";
import { parseUri, type StackResource, uriOf } from "./uris.js";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain";
const TAIL = 100;

const KINDS = {
  stack: { title: "Stack", mimeType: JSON_TYPE, text: "state, services, endpoints and limits" },
  health: { title: "Health", mimeType: JSON_TYPE, text: "the health of every service" },
  events: { title: "Events", mimeType: JSON_TYPE, text: "the newest 100 events" },
  logs: { title: "Logs", mimeType: TEXT_TYPE, text: `the last ${TAIL} lines; get_logs can filter` },
} as const;

export const RESOURCE_TEMPLATES: ResourceTemplate[] = [
  { uriTemplate: "stack://{project}", name: "stack" },
  { uriTemplate: "stack://{project}/health", name: "health" },
  { uriTemplate: "stack://{project}/events", name: "events" },
  { uriTemplate: "stack://{project}/logs/{service}", name: "logs" },
].map((template) => {
  const kind = KINDS[template.name as keyof typeof KINDS];
  return {
    ...template,
    title: kind.title,
    description: `${kind.title} of a project: ${kind.text}.`,
    mimeType: kind.mimeType,
  };
});

/** All current resources, by project in the order of the manager. */
export function listResources(manager: StackManager): Resource[] {
  return manager
    .projects()
    .flatMap((project) => [
      describe({ kind: "stack", project }),
      describe({ kind: "health", project }),
      describe({ kind: "events", project }),
      ...manager.services(project).map((service) => describe({ kind: "logs", project, service })),
    ]);
}

function describe(resource: StackResource): Resource {
  const kind = KINDS[resource.kind];
  const of = resource.kind === "logs" ? `${resource.project}/${resource.service}` : resource.project;
  return {
    uri: uriOf(resource),
    name: `${of} ${resource.kind}`,
    title: `${kind.title} of ${of}`,
    description: `${kind.title} of ${of}: ${kind.text}.`,
    mimeType: kind.mimeType,
  };
}

/**
 * Reads the resource of a URI.
 * @throws "resource not found" for an unknown project or service
 */
export function existing(uri: string, manager: StackManager): StackResource {
  const resource = parseUri(uri);
  if (resource === null) {
    const forms = RESOURCE_TEMPLATES.map((template) => template.uriTemplate).join(", ");
    throw resourceNotFound(uri, `No resource has this URI. Valid: ${forms}.`);
  }
  const projects = manager.projects();
  if (!projects.includes(resource.project)) {
    throw resourceNotFound(uri, `Unknown project "${resource.project}". Known: ${projects.join(", ") || "none yet"}.`);
  }
  const services = manager.services(resource.project);
  if (resource.kind === "logs" && !services.includes(resource.service)) {
    throw resourceNotFound(uri, `Unknown service "${resource.service}". Known: ${services.join(", ") || "none yet"}.`);
  }
  return resource;
}

export async function readResource(uri: string, manager: StackManager, call: CallContext): Promise<ReadResourceResult> {
  const resource = existing(uri, manager);
  try {
    const text = await contents(resource, manager, call);
    return { contents: [{ uri, mimeType: KINDS[resource.kind].mimeType, text, _meta: UNTRUSTED }] };
  } catch (error) {
    throw readFailure(uri, error);
  }
}

async function contents(resource: StackResource, manager: StackManager, call: CallContext): Promise<string> {
  const { project } = resource;
  if (resource.kind === "logs") {
    const query = { services: [resource.service], tail: TAIL, signal: call.signal };
    const { lines } = await manager.logs({ project, query });
    return lines.map(asText).join("\n");
  }
  if (resource.kind === "health") return JSON.stringify(await manager.health({ project }, call));
  if (resource.kind === "events") return JSON.stringify(await manager.events({ project, limit: 100 }));
  return JSON.stringify(await manager.report(project));
}

function asText({ time, stream, text, repeated }: LogLine): string {
  return `${time} ${stream} ${text}${repeated === undefined ? "" : ` [× ${repeated.count}]`}`;
}
