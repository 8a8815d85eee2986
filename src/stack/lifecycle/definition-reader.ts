/** Reads a project's definition: as its files have it, and as a start requests it. */
import { StackwardenError, withHint } from "../../errors.js";
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

/** The kinds of names that a selection has. */
type Names = "services" | "without" | "profiles";

/** The names that exist, by the kinds of names of which the error says that one does not; empty for another error. */
function existing({ code, details }: StackwardenError): Partial<Record<Names, readonly string[]>> {
  const { valid, issues } = (details ?? {}) as { valid?: string[]; issues?: { field: string; valid: string }[] };
  if (code === "UNKNOWN_SERVICE" && Array.isArray(valid)) return { services: valid, without: valid };
  const profiles = code === "INVALID_INPUT" ? issues?.find(({ field }) => field === "profiles")?.valid : undefined;
  return profiles === undefined ? {} : { profiles: profiles.split(", ") };
}

/**
 * The selection without the services and profiles that earlier calls named and the files no longer have.
 * @throws `error`, unless such a name caused it
 */
function knownNames(selection: ProjectSelection, request: ProjectSelection, error: unknown): ProjectSelection {
  const names = error instanceof StackwardenError ? existing(error) : {};
  const known = { ...selection };
  let changed = false;
  for (const [key, valid] of Object.entries(names) as [Names, readonly string[]][]) {
    const kept = selection[key]?.filter((name) => valid.includes(name) || request[key]?.includes(name) === true);
    if (kept === undefined || kept.length === selection[key]?.length) continue;
    changed = true;
    if (kept.length > 0) known[key] = kept;
    else delete known[key];
  }
  if (!changed) throw error;
  return known;
}

/** Adds that the files of an error are those of an earlier call, when this call selects none. */
function withEarlierFiles(error: unknown, { files }: ProjectSelection, request: ProjectSelection): unknown {
  if (files === undefined || request.files !== undefined) return error;
  if (!(error instanceof StackwardenError) || error.code !== "INVALID_STACK") return error;
  const note = ` The files are those of an earlier call (${files.join(", ")}); files of this call replace them.`;
  return withHint(error, [...error.hintParts, { text: note }]);
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
   * Reads the definition of a selection, without the services and profiles that only earlier calls named and the files no
   * longer have.
   * @param request the names of this call
   * @returns the selection too
   */
  async readKnown(
    settings: StackSettings,
    selection: ProjectSelection,
    request: ProjectSelection,
    generateSecret: GenerateSecret,
  ): Promise<[StackDefinition, ProjectSelection]> {
    let known = selection;
    for (;;) {
      try {
        return [await this.read(settings, known, generateSecret), known];
      } catch (error) {
        known = knownNames(known, request, error);
      }
    }
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
    let written: StackDefinition;
    [written, selection] = await this.readKnown(settings, selection, request, generatedIn(records)).catch(
      (error: unknown) => {
        throw withEarlierFiles(error, current.selection, request);
      },
    );
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
