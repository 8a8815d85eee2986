/** Reads a project's definition: as its files have it, and as a start requests it. */
import { StackwardenError } from "../../errors.js";
import { repositoryOfWorktree } from "../../system/git-worktree.js";
import { currentPorts, overridePorts, selectPorts } from "../definition/override-ports.js";
import { refuseLeftOut } from "../definition/own-program.js";
import type { LoadStack, StackDefinition } from "../definition/types.js";
import type { StartRequest } from "../model.js";
import type { StackSettings } from "../settings.js";
import type { ProjectRecords } from "../storage/project-records.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import { hiddenSecrets } from "../text/visible-values.js";
import { nextSelection, type ProjectSelection } from "./project-selection.js";
import { type Attempt, hostPorts, type StackOptions } from "./selected-overrides.js";

/** The value of a secret that the server generates. */
type GenerateSecret = (name: string) => Promise<string>;

/** Generates secrets that do not exist, and stores them. */
export const generatedIn =
  ({ secrets }: ProjectRecords): GenerateSecret =>
  (name) =>
    secrets.generate(name);

/** Generates and stores no secret. @param existing secrets that exist already */
export const notGenerated =
  (existing: Record<string, string> = {}): GenerateSecret =>
  async (name) =>
    existing[name] ?? `not-generated-${name}`;

/**
 * The selection without the services that earlier calls named and the files no longer have.
 * @throws `error`, unless such a service caused it
 */
function knownServices(selection: ProjectSelection, request: StartRequest, error: unknown): ProjectSelection {
  const valid = error instanceof StackwardenError && error.code === "UNKNOWN_SERVICE" ? error.details?.valid : null;
  if (!Array.isArray(valid)) throw error;
  const known = { ...selection };
  let changed = false;
  for (const key of ["services", "without"] as const) {
    const names = selection[key];
    const kept = names?.filter((name) => valid.includes(name) || request[key]?.includes(name) === true);
    if (names === undefined || kept === undefined || kept.length === names.length) continue;
    changed = true;
    if (kept.length > 0) known[key] = kept;
    else delete known[key];
  }
  if (!changed) throw error;
  return known;
}

export class DefinitionReader {
  constructor(private readonly parts: { storage: ProjectStorage; loadStack: LoadStack }) {}

  /** The definition in the selected files, without ports and limits of calls. */
  read(
    { allowRoot, allowBinds }: StackSettings,
    selection: ProjectSelection,
    generateSecret: GenerateSecret,
  ): Promise<StackDefinition> {
    const { storage, loadStack } = this.parts;
    return loadStack({
      projectId: storage.id,
      folder: storage.folder,
      ...selection,
      profiles: selection.profiles ?? [],
      allowRoot,
      allowBinds,
      generateSecret,
    });
  }

  /**
   * The definition that a start requests, with the ports of calls. Its secrets are redacted from now on, and `attempt` has
   * what calls select.
   * @param current what earlier calls selected for the open stack
   */
  async forStart(
    request: StartRequest,
    settings: StackSettings,
    { records, current, attempt }: { records: ProjectRecords; current: StackOptions; attempt: Attempt },
  ): Promise<StackDefinition> {
    const { storage } = this.parts;
    // `ports: {}` and `ports: "auto"` replace the ports of earlier calls.
    const keepsPorts = request.autoPorts !== true && Object.keys(request.ports ?? { none: 0 }).length > 0;
    let selection = nextSelection(current.selection, request);
    const autoPorts =
      request.autoPorts ??
      (keepsPorts ? current.autoPorts : undefined) ??
      repositoryOfWorktree(storage.folder) !== null;
    const readAt = Date.now();
    let written = await this.read(settings, selection, generatedIn(records)).catch(async (error: unknown) => {
      selection = knownServices(selection, request, error);
      return this.read(settings, selection, generatedIn(records));
    });
    const missing = (request.services ?? []).filter((name) => !Object.hasOwn(written.services, name));
    if (missing.length > 0) {
      // A service of an inactive profile runs when a call names it; other names are unknown.
      selection = { ...selection, services: [...Object.keys(written.services), ...missing] };
      written = await this.read(settings, selection, generatedIn(records));
    }
    // A caller that names services of the built-in stack wants that stack.
    if (selection.services === undefined) refuseLeftOut(written, storage.folder);
    const requested = selectPorts(written, request.ports ?? {});
    const { current: kept, outdated } = currentPorts(written, keepsPorts ? current.ports : {});
    for (const key of outdated) {
      const port = current.ports[key];
      if (port !== undefined && requested[key] === undefined) attempt.outdatedPorts[key] = port;
    }
    const ports = { ...kept, ...requested };
    const definition = overridePorts(written, hostPorts(ports), autoPorts);
    records.redactor.add([...hiddenSecrets(definition, storage.id), ...records.secrets.values()]);
    attempt.options = { selection, ports, autoPorts, readAt };
    return definition;
  }
}
