/** Completion of project ids and service names, for prompts and resource templates. */
import type { CompleteRequest, CompleteResult } from "@modelcontextprotocol/sdk/types.js";
import type { StackManager } from "../stack/model.js";
import { invalidParams } from "./errors.js";
import { PROMPTS } from "./prompts.js";
import { RESOURCE_TEMPLATES } from "./resources.js";

/** Maximum number of values, set by the protocol. */
const MAX_VALUES = 100;

export function complete(params: CompleteRequest["params"], manager: StackManager): CompleteResult {
  checkReference(params.ref);
  const { name, value } = params.argument;
  const candidates = candidatesFor(name, params.context?.arguments?.project, manager);
  const prefix = value.toLowerCase();
  const matching = candidates.filter((candidate) => candidate.toLowerCase().startsWith(prefix));
  return {
    completion: {
      values: matching.slice(0, MAX_VALUES),
      total: matching.length,
      hasMore: matching.length > MAX_VALUES,
    },
  };
}

function candidatesFor(argument: string, project: string | undefined, manager: StackManager): string[] {
  if (argument === "project") return manager.projects();
  if (argument === "since") return ["5m", "15m", "1h", "6h", "1d"];
  if (argument !== "service") return [];
  const projects = project === undefined ? manager.projects() : [project];
  return [...new Set(projects.flatMap((id) => manager.services(id)))];
}

function checkReference(ref: CompleteRequest["params"]["ref"]): void {
  const candidates =
    ref.type === "ref/prompt"
      ? PROMPTS.some((prompt) => prompt.name === ref.name)
      : RESOURCE_TEMPLATES.some((template) => template.uriTemplate === ref.uri);
  if (!candidates) throw invalidParams("Unknown prompt or resource template.");
}
