/** From a project's folder to its stack definition. */
import { join } from "node:path";
import { type Scalar, visit } from "yaml";
import { statBeneath } from "../../system/read-regular-file.js";
import { realPath } from "../../system/real-path.js";
import { SERVICE_NAME } from "../project-id.js";
import { secretEncodings } from "../text/secret-encodings.js";
import { parseYaml } from "./document.js";
import { findCycle, publishedTokens } from "./graph.js";
import { InterpolationError, interpolate, type Lookup, type Variable } from "./interpolate.js";
import { given, NodeReader, nodeBudget, type ReadContext } from "./node-reader.js";
import { npmSettingsWithSecret } from "./npm-settings.js";
import { Problems } from "./problems.js";
import { readSecretSources, resolveSecrets, type SecretSource } from "./read-secrets.js";
import { readService } from "./read-service.js";
import { refuseSharedDatabases } from "./shared-volumes.js";
import { findSource, projectVariables, type Source } from "./source.js";
import type { LoadRequest, ServiceDefinition, StackDefinition } from "./types.js";

/** Shorter values would redact ordinary words. */
const SHORTEST_SECRET = 6;

/** More than a machine runs. What follows dependencies goes as deep as there are services. */
const MOST_SERVICES = 500;

interface Parsed {
  root: NodeReader;
  context: ReadContext;
  unset: Set<string>;
}

/** The file, once read, can be interpolated again and again with other variables. */
function opened(source: Source): (lookup: Lookup) => Parsed {
  const { document, lines, targets } = parseYaml(source.file, source.text);
  const written = new Map<Scalar, string>();
  visit(document, {
    Scalar(key, node) {
      if (key !== "key" && typeof node.value === "string" && node.value.includes("$")) written.set(node, node.value);
    },
  });
  return (lookup) => {
    const problems = new Problems(source.file, lines);
    const secretNodes = new WeakSet<object>();
    const unset = new Set<string>();
    for (const [node, text] of written) {
      try {
        const result = interpolate(text, lookup);
        node.value = result.text;
        if (result.secret) secretNodes.add(node);
        for (const name of result.unset) unset.add(name);
      } catch (error) {
        if (!(error instanceof InterpolationError)) throw error;
        problems.invalid(node, "interpolation", error.message, "Correct the expression, or set the variable in .env.");
      }
    }
    const context: ReadContext = { targets, problems, secretNodes, budget: nodeBudget() };
    return { root: new NodeReader(context, document.contents, ""), context, unset };
  };
}

/** Services of the built-in stack whose folder the project does not have are left out. */
function leaveOutAbsent(
  services: Record<string, ServiceDefinition>,
  folder: string,
  note: (text: string) => void,
): void {
  for (const [name, service] of Object.entries(services)) {
    const at = service.local?.workingDir;
    if (at === undefined || statBeneath(at, folder) !== undefined) continue;
    delete services[name];
    note(`The service ${name} is left out: the project has no folder ${name}/.`);
    for (const other of Object.values(services)) {
      delete other.dependsOn[name];
      for (const [key, value] of Object.entries(other.environment))
        if (publishedTokens(value).some((token) => token.service === name)) delete other.environment[key];
    }
  }
}

function checkReferences(
  services: Record<string, ServiceDefinition>,
  all: Map<string, NodeReader>,
  active: (name: string) => boolean,
): void {
  for (const [name, service] of Object.entries(services)) {
    const reader = all.get(name) as NodeReader;
    for (const [other, { required }] of Object.entries(service.dependsOn)) {
      if (Object.hasOwn(services, other)) continue;
      if (!required) delete service.dependsOn[other];
      else if (all.has(other) && !active(other))
        reader.invalid(
          `depends on ${other}, whose profile is not active`,
          `Start with one of its profiles, or write required: false.`,
        );
      else reader.invalid(`depends on ${other}, which does not exist`, `Services are: ${[...all.keys()].join(", ")}.`);
    }
    for (const [key, value] of Object.entries(service.environment))
      for (const { token, service: target, port } of publishedTokens(value))
        if (!services[target]?.ports.some((mapping) => mapping.containerPort === port))
          reader.invalid(
            `${key} uses ${token}, which no service publishes`,
            "Name a service of the stack and a port in its `ports`.",
          );
  }
  const cycle = findCycle(services);
  if (cycle !== null)
    all
      .get(cycle[0] as string)
      ?.invalid(`depends on itself: ${cycle.join(" → ")}`, "Remove one of these dependencies.");
}

const TOP_REFUSED: Record<string, string> = {
  networks: "Remove it: stackwarden gives every stack one private network on which services reach each other by name.",
  configs: "Use `secrets`, or a bind mount below the project.",
  include: "Write the services into this file.",
};

function readStack(
  source: Source,
  parsed: Parsed,
  request: LoadRequest,
  { sources, secrets }: { sources: SecretSource[]; secrets: Record<string, string> },
  variables: Map<string, Variable>,
): StackDefinition {
  const { root, context } = parsed;
  const notes: string[] = [
    ...source.notes,
    ...[...parsed.unset].map((name) => `The variable ${name} is not set; the empty text was used. Set it in .env.`),
  ];
  const note = (text: string): void => void notes.push(text);
  const fields = root.fields(["name", "services", "volumes", "secrets", "version"], TOP_REFUSED);
  if (given(fields.version)) note("`version` is obsolete in compose files and was ignored.");
  const name = given(fields.name) ? fields.name.string("a name") : undefined;
  const declared = new Set<string>();
  for (const [volume, value] of given(fields.volumes) ? fields.volumes.entries() : []) {
    declared.add(volume);
    if (!value.empty)
      value.fields(["name", "labels"], {
        external: "Remove it: stackwarden keeps volumes of its own for each project.",
        driver: "Remove it: volumes are kept on this machine.",
        driver_opts: "Remove it: volumes are kept on this machine.",
      });
  }
  if (variables.has("COMPOSE_PROJECT_NAME"))
    note("COMPOSE_PROJECT_NAME of .env is not used: a project's id is its name.");
  const activated = new Set([...request.profiles, ...(variables.get("COMPOSE_PROFILES")?.value.split(",") ?? [])]);
  const all = new Map<string, NodeReader>();
  const privateFiles = new Set<string>();
  const services: Record<string, ServiceDefinition> = Object.create(null);
  const active = (service: string): boolean => Object.hasOwn(services, service);
  const written = given(fields.services) ? fields.services.entries() : [];
  if (written.length > MOST_SERVICES)
    fields.services?.invalid(`has ${written.length} services; ${MOST_SERVICES} are possible`, "Split the stack.");
  for (const [service, reader] of written.slice(0, MOST_SERVICES)) {
    if (!SERVICE_NAME.test(service)) {
      reader.invalid(
        `${JSON.stringify(service.slice(0, 64))} is not a service name`,
        "Use letters, digits, dots, dashes and underscores; begin with a letter or digit.",
      );
      continue;
    }
    all.set(service, reader);
    const definition = readService(service, reader, {
      folder: request.folder,
      allowRoot: (one) => request.allowRoot.includes(one) || request.allowRoot.includes(`${request.projectId}/${one}`),
      note,
      privateFile: (path) => privateFiles.add(path),
      variable: (variable) => variables.get(variable),
    });
    const { profiles = [] } = definition ?? {};
    if (definition && (profiles.length === 0 || profiles.some((profile) => activated.has(profile))))
      services[service] = definition;
  }
  if (source.builtIn) leaveOutAbsent(services, request.folder, note);
  if (Object.keys(services).length === 0 && context.problems.empty)
    root.invalid("defines no active service", "Define one under `services`, or start with a profile.");
  checkReferences(services, all, active);
  const volumes = new Set<string>();
  for (const [service, definition] of Object.entries(services)) {
    for (const mount of definition.mounts) {
      if (mount.type !== "volume") continue;
      if (declared.has(mount.source)) volumes.add(mount.source);
      else
        all
          .get(service)
          ?.invalid(
            `uses the volume ${mount.source}, which is not declared`,
            "Declare it under the top-level `volumes`.",
          );
    }
    for (const secret of definition.secrets)
      if (!Object.hasOwn(secrets, secret.source))
        all
          .get(service)
          ?.invalid(
            `uses the secret ${secret.source}, which is not declared`,
            "Declare it under the top-level `secrets`.",
          );
  }
  refuseSharedDatabases(services, all);
  context.problems.throwIfAny();
  const secretValues = new Set(Object.values(secrets));
  for (const { secretEnvironment, environment } of Object.values(services))
    for (const key of secretEnvironment) secretValues.add(environment[key] ?? "");
  for (const variable of variables.values()) if (variable.secret) secretValues.add(variable.value);
  const known = [...secretValues].filter((value) => value.length >= SHORTEST_SECRET);
  for (const { file } of sources) if (file !== undefined) privateFiles.add(file);
  for (const { local } of Object.values(services)) {
    const settings =
      local?.install?.kind === "node" ? npmSettingsWithSecret(local.install.manifest, request.folder) : null;
    if (settings !== null) privateFiles.add(settings);
  }
  if (variables.size > 0) privateFiles.add(realPath(join(request.folder, ".env")));
  if (known.flatMap(secretEncodings).some((form) => source.text.includes(form)))
    privateFiles.add(realPath(source.file));
  return {
    name: name ?? request.projectId,
    source: source.file,
    services,
    volumes: [...volumes],
    secretValues: known,
    privateFiles: [...privateFiles],
    secrets,
    notes,
  };
}

const secretsNode = ({ root }: Parsed): NodeReader | undefined =>
  root.entries().find(([key]) => key === "secrets")?.[1];

/**
 * Reads the project's compose file, else the built-in CommandCenter definition.
 * @throws INVALID_STACK or POLICY_VIOLATION with file, line and path of every problem (`details.problems`)
 */
export async function loadStack(request: LoadRequest): Promise<StackDefinition> {
  const source = findSource(request.folder);
  const parse = opened(source);
  const read = async (make: (name: string) => Promise<string>): Promise<StackDefinition> => {
    const unset = new Set<string>();
    const variables = projectVariables(request.folder, (name) => unset.add(name));
    // Secrets first and by themselves: everything else may use their variables.
    const early = parse((name) => variables.get(name) ?? { value: "", secret: false });
    const secrets = await resolveSecrets(
      readSecretSources(secretsNode(early), request.folder),
      request.folder,
      variables,
      make,
    );
    const parsed = parse((name) => variables.get(name));
    for (const name of unset) parsed.unset.add(name);
    // Problems of the secrets themselves are found with the rest, so that one error lists all.
    const sources = readSecretSources(secretsNode(parsed), request.folder);
    await resolveSecrets(sources, request.folder, variables, make);
    return readStack(source, parsed, request, { sources, secrets }, variables);
  };
  // A file that is refused must change nothing: secrets are made only once everything else is right.
  await read(async (name) => `not-generated-yet-${name}`);
  return read(request.generateSecret);
}
