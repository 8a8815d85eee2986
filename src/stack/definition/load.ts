/** Reads a project's folder and produces its stack definition. */
import { join } from "node:path";
import { realPath } from "../../system/real-path.js";
import { secretEncodings } from "../text/secret-encodings.js";
import { attributeUses } from "./attributes/attribute-uses.js";
import { hasValue, NodeReader, nodeBudget } from "./attributes/node-reader.js";
import { readConfigs } from "./attributes/read-configs.js";
import { readNetworks } from "./attributes/read-networks.js";
import { readSecretSources, resolveSecrets, type SecretSource, type SecretValues } from "./attributes/read-secrets.js";
import { leaveOutAbsent, leaveOutEmpty, readQuietly, readSelected, servicesOf } from "./attributes/read-services.js";
import { readVolumes } from "./attributes/read-volumes.js";
import type { Lookup, Variable } from "./files/interpolate.js";
import { loadModel } from "./files/model.js";
import { modelContext } from "./files/model-context.js";
import { Problems } from "./files/problems.js";
import { FileReader, findFiles, type ProjectFiles } from "./files/project-files.js";
import { entry, type Tree, textOf } from "./files/tree.js";
import { npmSettingsWithSecret } from "./npm-settings.js";
import { checkReferences } from "./references.js";
import { type Selection, selectServices } from "./selection.js";
import { shareBuilds } from "./shared-builds.js";
import { refuseSharedDatabases } from "./shared-volumes.js";
import type { AttributeUse, LoadRequest, ServiceDefinition, StackDefinition } from "./types.js";
import { unknownHosts } from "./unknown-hosts.js";

/** Minimum characters of a redacted value. Shorter values would redact ordinary words. */
const SHORTEST_SECRET = 6;

const SECTIONS = [
  "version",
  "name",
  "include",
  "services",
  "models",
  "networks",
  "volumes",
  "secrets",
  "configs",
  "jobs",
] as const;

const SERVICE_AT_TOP = "Write the service below `services:`, indented by two spaces.";

/** One reading of the project with one set of variables. */
interface Reading {
  request: LoadRequest;
  projectFiles: ProjectFiles;
  files: FileReader;
  variables: Map<string, Variable>;
  problems: Problems;
  unset: Set<string>;
}

const reader = (problems: Problems, variables: Lookup, tree: Tree, path = ""): NodeReader =>
  new NodeReader({ problems, variables, budget: nodeBudget() }, tree, path);

function modelOf({ files, projectFiles, request, unset }: Reading, problems: Problems, lookup: Lookup): Tree {
  const context = modelContext(files, problems, request.folder, (name) => unset.add(name));
  return loadModel(context, { files: projectFiles.files, folder: projectFiles.folder, lookup, including: [] });
}

/** Files that contain secrets. Copies of the project's folders exclude them. */
function privateFilesOf(
  { projectFiles, files, variables, request }: Reading,
  sources: SecretSource[],
  services: readonly ServiceDefinition[],
  secretValues: string[],
): string[] {
  const paths = new Set<string>();
  for (const { file } of sources) if (file !== undefined) paths.add(file);
  for (const { local } of services) {
    const settings =
      local?.install?.kind === "node" ? npmSettingsWithSecret(local.install.manifest, request.folder) : null;
    if (settings !== null) paths.add(settings);
  }
  if (variables.size > 0 && projectFiles.envFile !== undefined) paths.add(realPath(projectFiles.envFile));
  const forms = secretValues.flatMap(secretEncodings);
  for (const file of files.read) if (forms.some((form) => file.text.includes(form))) paths.add(realPath(file.path));
  return [...paths];
}

/** Selects services. A file that cannot be read in full can lack those that the request names: its problems come first. */
function selectionOf({ request, variables, problems }: Reading, all: ReadonlyMap<string, NodeReader>): Selection {
  try {
    return selectServices(all, {
      profiles: request.profiles,
      usualProfiles: (variables.get("COMPOSE_PROFILES")?.value ?? "")
        .split(",")
        .map((one) => one.trim())
        .filter(Boolean),
      ...(request.services === undefined ? {} : { services: request.services }),
      ...(request.without === undefined ? {} : { without: request.without }),
    });
  } catch (error) {
    problems.throwIfAny();
    throw error;
  }
}

function refuseUnsetSecrets(
  services: Record<string, ServiceDefinition>,
  all: ReadonlyMap<string, NodeReader>,
  sources: readonly SecretSource[],
  secrets: SecretValues,
): void {
  for (const [name, service] of Object.entries(services))
    for (const { source } of [...service.secrets, ...(service.build?.secrets ?? [])]) {
      if (secrets.text[source] !== undefined || secrets.binary[source] !== undefined) continue;
      for (const { variable } of sources.filter((one) => one.name === source && one.variable !== undefined))
        all
          .get(name)
          ?.invalid(`uses the secret ${source}, which needs ${variable}; that is not set`, `Set ${variable} in .env.`);
    }
}

/** Every value that is redacted and whose files are private. */
function redactedValues(
  variables: ReadonlyMap<string, Variable>,
  services: readonly ServiceDefinition[],
  values: Iterable<string>,
): string[] {
  const all = new Set(values);
  for (const { secretEnvironment, environment } of services)
    for (const key of secretEnvironment) all.add(environment[key] ?? "");
  for (const variable of variables.values()) if (variable.secret) all.add(variable.value);
  return [...all].filter((value) => value.length >= SHORTEST_SECRET);
}

function readStack(
  reading: Reading,
  model: Tree,
  { sources, secrets }: { sources: SecretSource[]; secrets: SecretValues },
): StackDefinition {
  const { request, projectFiles, variables, problems, unset } = reading;
  const notes: string[] = [...projectFiles.notes];
  const note = (text: string): void => void (notes.includes(text) || notes.push(text));
  const root = reader(problems, (name) => variables.get(name), model);
  const fields = root.fields(SECTIONS, ({ tree }) =>
    entry(tree, "image") === undefined && entry(tree, "build") === undefined ? undefined : SERVICE_AT_TOP,
  );
  for (const name of unset) note(`The variable ${name} is not set; the empty text was used. Set it in .env.`);
  const volumes = readVolumes(fields.volumes);
  const networks = readNetworks(fields.networks);
  const privateFiles = new Set<string>();
  const envFiles = new Set<string>();
  const all = servicesOf(fields.services);
  const selected = selectionOf(reading, all);
  const context = {
    folder: request.folder,
    allowRoot: (one: string) =>
      request.allowRoot.includes(one) || request.allowRoot.includes(`${request.projectId}/${one}`),
    allowBinds: request.allowBinds ?? [],
    privateFile: (path: string) => void privateFiles.add(path),
    boundVolume: (volume: string) => volumes.bound.get(volume),
  };
  const without = new Set(selected.without);
  const uses: AttributeUse[] = [];
  const services = readSelected(all, selected.names, {
    ...context,
    note,
    envFile: (path) => envFiles.add(path),
    leftOut: (service) => without.add(service),
    use: (attribute, service) => uses.push({ attribute, service }),
  });
  for (const section of SECTIONS)
    if (section !== "services" && hasValue(fields[section]))
      for (const attribute of attributeUses(fields[section].tree, section)) uses.push({ attribute });
  if (projectFiles.builtIn) {
    leaveOutAbsent(services, request.folder, note);
    note(`The folder has no compose file: this is the built-in stack (${Object.keys(services).join(", ")}).`);
  }
  const count = Object.keys(services).length;
  leaveOutEmpty(services, note);
  if (count === 0 && problems.empty)
    root.invalid("defines no active service", "Define one under `services`, or start with a profile.");
  const configs = readConfigs(
    fields.configs,
    request.folder,
    new Set(Object.values(services).flatMap((service) => (service.configs ?? []).map(({ source }) => source))),
  );
  refuseUnsetSecrets(services, all, sources, secrets);
  const missingDependencies = checkReferences(
    services,
    all,
    without,
    {
      volumes: volumes.declared,
      networks: new Set(Object.keys(networks)),
      configs: configs.declared,
      secrets: new Set(sources.map(({ name }) => name)),
    },
    note,
  );
  refuseSharedDatabases(services, all);
  problems.throwIfAny();
  // A selected service can have the project's folder, with the files and the compose file of those that do not run.
  const others = readQuietly(
    servicesOf(reader(new Problems(), (name) => variables.get(name), model).fields(SECTIONS).services),
    [...all.keys()].filter((name) => services[name] === undefined),
    context,
  );
  const readable = [...Object.values(services), ...others];
  shareBuilds(services, readable);
  const hosts = unknownHosts(services, others, [...all.keys()], (network) => networks[network]?.external === true);
  const redacted = redactedValues(variables, readable, [...Object.values(secrets.text), ...configs.secret]);
  const inUse = (names: Iterable<string>): string[] => [...new Set(names)];
  const mounted = Object.values(services).flatMap(({ mounts }) =>
    mounts.flatMap((mount) => (mount.type === "volume" ? [mount.source] : [])),
  );
  const attached = inUse(
    Object.values(services).flatMap((service) => Object.keys(service.networks ?? { default: null })),
  );
  return {
    name: stackName(reading, model),
    source: projectFiles.files[0] as string,
    files: reading.files.read.map(({ path }) => path),
    inputs: inUse([
      ...envFiles,
      ...configs.files,
      ...sources.flatMap(({ file }) => (file === undefined ? [] : [file])),
      // A new `.env` in the project's folder is used too.
      projectFiles.envFile ?? join(request.folder, ".env"),
    ]),
    services,
    volumes: inUse(mounted),
    declaredVolumes: [...volumes.declared].filter((name) => !volumes.bound.has(name)),
    networks: Object.fromEntries(
      attached.map((name) => [name, networks[name] ?? { internal: false, external: false }]),
    ),
    ...(Object.keys(configs.contents).length === 0 ? {} : { configs: configs.contents }),
    ...(Object.keys(secrets.binary).length === 0 ? {} : { binarySecrets: secrets.binary }),
    secretValues: redacted,
    privateFiles: inUse([...privateFiles, ...privateFilesOf(reading, sources, readable, redacted)]),
    secrets: secrets.text,
    notes,
    ...(Object.keys(missingDependencies).length === 0 ? {} : { missingDependencies }),
    ...(hosts.length === 0 ? {} : { unknownHosts: hosts }),
    uses,
  };
}

/** `COMPOSE_PROJECT_NAME`, else the files' `name`, else the project's id. */
const stackName = ({ variables, request }: Pick<Reading, "variables" | "request">, model: Tree): string =>
  variables.get("COMPOSE_PROJECT_NAME")?.value || textOf(entry(model, "name")) || request.projectId;

/**
 * Reads the project's compose files, else the built-in CommandCenter definition.
 * @throws INVALID_STACK or POLICY_VIOLATION with file, line and path of every problem (`details.problems`);
 * UNKNOWN_SERVICE or INVALID_INPUT for unknown services and profiles in the request
 */
export async function loadStack(request: LoadRequest): Promise<StackDefinition> {
  const files = new FileReader(request.folder);
  const read = async (make: (name: string) => Promise<string>): Promise<StackDefinition> => {
    const unset = new Set<string>();
    const problems = new Problems(unset);
    const projectFiles = findFiles(request.folder, request.files ?? [], problems, (name) => unset.add(name));
    const { variables } = projectFiles;
    const reading: Reading = { request, projectFiles, files, variables, problems, unset };
    const secretsOf = (model: Tree, into: Problems, lookup: Lookup): SecretSource[] => {
      const tree = entry(model, "secrets");
      return tree === undefined ? [] : readSecretSources(reader(into, lookup, tree, "secrets"), request.folder);
    };
    // Resolve secrets first: all other values may use their variables.
    const before = new Problems();
    const own: Lookup = (variable) => variables.get(variable);
    const early = modelOf(
      { ...reading, unset: new Set() },
      before,
      (name) => variables.get(name) ?? { value: "", secret: false },
    );
    await resolveSecrets(secretsOf(early, before, own), request.folder, variables, make);
    const name = stackName(reading, early);
    const lookup: Lookup = (variable) =>
      variables.get(variable) ?? (variable === "COMPOSE_PROJECT_NAME" ? { value: name, secret: false } : undefined);
    const model = modelOf(reading, problems, lookup);
    // Report problems of secrets together with all other problems, so that one error lists them all.
    const sources = secretsOf(model, problems, lookup);
    const secrets = await resolveSecrets(sources, request.folder, variables, make);
    return readStack(reading, model, { sources, secrets });
  };
  // A refused file must change nothing. Generate secrets only after everything else is valid.
  await read(async (name) => `not-generated-yet-${name}`);
  return read(request.generateSecret);
}
