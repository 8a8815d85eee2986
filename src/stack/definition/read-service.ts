/** One service of a compose file. */
import { providerOfImage } from "./image-name.js";
import { given, type NodeReader } from "./node-reader.js";
import { checkPolicy, checkUser, POLICY_KEYS } from "./policy.js";
import { readCommand } from "./read-command.js";
import { isSensitiveName, readEnvironment } from "./read-environment.js";
import { readDuration, readHealthcheck } from "./read-healthcheck.js";
import { readLimits } from "./read-limits.js";
import { projectPath, readMounts } from "./read-mounts.js";
import { readPorts } from "./read-ports.js";
import type { BuildDefinition, Dependency, LocalDefinition, RestartPolicy, ServiceDefinition } from "./types.js";

export interface ServiceContext {
  /** Absolute, real path of the project. */
  folder: string;
  allowRoot(service: string): boolean;
  note(text: string): void;
  /** Told of a file in which a secret is written. */
  privateFile(path: string): void;
  variable(name: string): { value: string; secret: boolean } | undefined;
}

const KNOWN = [
  "image",
  "build",
  "command",
  "entrypoint",
  "environment",
  "env_file",
  "user",
  "working_dir",
  "ports",
  "expose",
  "depends_on",
  "healthcheck",
  "restart",
  "volumes",
  "deploy",
  "cpus",
  "mem_limit",
  "mem_reservation",
  "pids_limit",
  "stop_signal",
  "stop_grace_period",
  "read_only",
  "tmpfs",
  "init",
  "labels",
  "profiles",
  "secrets",
  "x-local",
  "x-commands",
] as const;

const ONE_NETWORK =
  "Remove it: stackwarden gives every stack one private network on which services reach each other by name.";
const REFUSED: Record<string, string> = {
  networks: ONE_NETWORK,
  links: "Remove it: services reach each other by name.",
  container_name: "Remove it: stackwarden names instances itself, so that two projects cannot collide.",
  hostname: "Remove it: a service is reached by its name.",
  extends: "Write the service out.",
  scale: "stackwarden runs one instance of each service. Remove it.",
  logging: "Remove it: stackwarden keeps every line (get_logs).",
  configs: "Use `secrets`, or a bind mount below the project.",
  develop: "Remove it: restart_service takes the project's present source.",
  platform: "Remove it.",
  stdin_open: "Remove it: services have no terminal.",
  tty: "Remove it: services have no terminal.",
};

function readBuild(reader: NodeReader, folder: string): BuildDefinition | undefined {
  const fields = reader.isMap ? reader.fields(["context", "dockerfile", "target", "args"]) : { context: reader };
  const context = projectPath(reader, fields.context?.string("a path") ?? ".", folder);
  if (context === undefined) return undefined;
  const args = readEnvironment(fields.args, undefined, folder, () => undefined).values;
  const dockerfile = fields.dockerfile?.string("a path");
  const target = fields.target?.string();
  if (dockerfile !== undefined && projectPath(reader, `${context}/${dockerfile}`, folder) === undefined)
    return undefined;
  return {
    context,
    args,
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(target === undefined ? {} : { target }),
  };
}

function readDependencies(reader: NodeReader | undefined): Record<string, Dependency> {
  const found: Record<string, Dependency> = Object.create(null);
  if (!given(reader)) return found;
  const plain: Dependency = { condition: "service_started", restart: false, required: true };
  if (reader.isList) {
    for (const name of reader.strings("a service's name")) found[name] = { ...plain };
    return found;
  }
  for (const [name, value] of reader.entries()) {
    const { condition, restart, required } = value.fields(["condition", "restart", "required"]);
    found[name] = {
      condition:
        condition?.oneOf(["service_started", "service_healthy", "service_completed_successfully"]) ?? plain.condition,
      restart: given(restart) ? (restart.boolean() ?? false) : false,
      required: given(required) ? (required.boolean() ?? true) : true,
    };
  }
  return found;
}

const COMMAND_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,62}$/;

/** Commands by name, which callers may run in the service. */
function readCommands(reader: NodeReader): Record<string, string[]> {
  const found: Record<string, string[]> = Object.create(null);
  for (const [name, value] of reader.entries()) {
    if (!COMMAND_NAME.test(name))
      value.invalid("has an invalid name", "A command's name has 1 to 63 letters, digits, . _ : or -.");
    else {
      const argv = readCommand(value);
      if (argv !== undefined && (argv[0] ?? "") !== "") found[name] = argv;
      else value.invalid("is empty", 'Write a list: ["program", "argument"].');
    }
  }
  return found;
}

function readRestart(reader: NodeReader | undefined): RestartPolicy {
  if (!given(reader)) return { policy: "no" };
  const text = reader.string("a restart policy") ?? "no";
  const [, retries] = /^on-failure:(\d{1,4})$/.exec(text) ?? [];
  if (retries !== undefined) return { policy: "on-failure", maxRetries: Number(retries) };
  // Unquoted `no` is a boolean in YAML 1.1 tools; people write it so.
  if (text === "false") return { policy: "no" };
  return { policy: reader.oneOf(["no", "always", "on-failure", "unless-stopped"]) ?? "no" };
}

function readLocal(
  reader: NodeReader | undefined,
  image: string | undefined,
  folder: string,
): LocalDefinition | undefined {
  const byImage = image === undefined ? undefined : (providerOfImage(image) ?? undefined);
  if (!given(reader)) return byImage === undefined ? undefined : { provider: byImage, environment: {} };
  const fields = reader.fields(["provider", "command", "working_dir", "install", "environment"]);
  const command = readCommand(fields.command);
  const provider = given(fields.provider)
    ? fields.provider.oneOf(["postgres", "redis"])
    : command === undefined
      ? byImage
      : undefined;
  const at = fields.working_dir?.string("a path");
  const workingDir = at === undefined ? undefined : projectPath(fields.working_dir as NodeReader, at, folder);
  const { values } = readEnvironment(fields.environment, undefined, folder, () => undefined);
  let install: LocalDefinition["install"];
  if (given(fields.install)) {
    const parts = fields.install.fields(["kind", "manifest"]);
    const kind = parts.kind?.oneOf(["python", "node"]);
    const written = parts.manifest?.string("a path");
    if (kind === undefined || written === undefined)
      fields.install.invalid("needs kind and manifest", "Write { kind: python, manifest: requirements.txt }.");
    else {
      const manifest = projectPath(fields.install, written, folder);
      if (manifest !== undefined) install = { kind, manifest };
    }
  }
  return {
    environment: values,
    ...(provider === undefined ? {} : { provider }),
    ...(command === undefined ? {} : { command }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(install === undefined ? {} : { install }),
  };
}

function readLabels(reader: NodeReader | undefined): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  if (!given(reader)) return labels;
  if (reader.isList)
    for (const text of reader.strings()) labels[text.split("=", 1)[0] as string] = text.slice(text.indexOf("=") + 1);
  else for (const [name, value] of reader.entries()) labels[name] = value.empty ? "" : (value.string() ?? "");
  return labels;
}

function readSecrets(reader: NodeReader | undefined): ServiceDefinition["secrets"] {
  return (reader?.list() ?? []).flatMap((item) => {
    const fields: { source?: NodeReader; target?: NodeReader } = item.isMap
      ? item.fields(["source", "target", "uid", "gid", "mode"])
      : { source: item };
    const source = (fields.source ?? item).string("a secret's name");
    const target = fields.target?.string("a file name") ?? source;
    if (source === undefined || target === undefined) return [];
    const file = target.replace(/^\/run\/secrets\//, "");
    if (!/^[A-Za-z0-9._-]+$/.test(file) || file.startsWith(".")) {
      item.invalid("has a target that is not a plain file name", "It appears below /run/secrets.");
      return [];
    }
    return [{ source, target: file }];
  });
}

const SIGNAL = /^(?:SIG)?(?:TERM|INT|QUIT|HUP|USR1|USR2|KILL)$/;

export function readService(name: string, reader: NodeReader, context: ServiceContext): ServiceDefinition | undefined {
  for (const [key, value] of reader.entries()) if (POLICY_KEYS.includes(key)) checkPolicy(key, value);
  const fields = reader.fields([...KNOWN, ...POLICY_KEYS] as (typeof KNOWN)[number][], REFUSED);
  const { folder } = context;
  const text = (field: NodeReader | undefined): string | undefined => (given(field) ? field.string() : undefined);
  const flag = (field: NodeReader | undefined): boolean => (given(field) ? (field.boolean() ?? false) : false);

  const image = text(fields.image);
  if (image !== undefined && !/^[a-z0-9][\w./:@-]*$/i.test(image))
    fields.image?.invalid("is not an image reference", "Write it as in redis:7-alpine.");
  const build = given(fields.build) ? readBuild(fields.build, folder) : undefined;
  // What a build puts into an image is not known, whatever its name is.
  const local = readLocal(fields["x-local"], build === undefined ? image : undefined, folder);
  if (image === undefined && build === undefined && local === undefined)
    reader.invalid("has neither image nor build", "Give `image`, `build`, or `x-local` for the local runtime.");
  const user = fields.user === undefined ? undefined : fields.user.empty ? "" : fields.user.string();
  const allowRoot = context.allowRoot(name);
  if (user !== undefined) checkUser(fields.user as NodeReader, user, allowRoot);
  const environment = readEnvironment(fields.environment, fields.env_file, folder, context.variable);
  for (const path of environment.privateFiles) context.privateFile(path);
  const command = readCommand(fields.command);
  const entrypoint = readCommand(fields.entrypoint);
  const workingDir = text(fields.working_dir);
  if (workingDir !== undefined && !workingDir.startsWith("/"))
    fields.working_dir?.invalid(
      "must be an absolute path",
      "It is a path inside the service; for the local runtime give x-local.working_dir.",
    );
  const healthcheck = given(fields.healthcheck) ? readHealthcheck(fields.healthcheck) : undefined;
  const stopSignal = text(fields.stop_signal) ?? "SIGTERM";
  if (!SIGNAL.test(stopSignal))
    fields.stop_signal?.invalid(
      "is not a signal that ends a service",
      "Write SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.",
    );
  const expose = (fields.expose?.list() ?? []).flatMap((item) => item.number(1, 65_535) ?? []);

  return {
    name,
    ...(image === undefined ? {} : { image }),
    ...(build === undefined ? {} : { build }),
    ...(command === undefined ? {} : { command }),
    ...(entrypoint === undefined ? {} : { entrypoint }),
    environment: environment.values,
    secretEnvironment: [...environment.secret].filter((key) => environment.values[key] !== "" || isSensitiveName(key)),
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ports: given(fields.ports) ? readPorts(fields.ports, context.note) : [],
    expose,
    dependsOn: readDependencies(fields.depends_on),
    ...(healthcheck === undefined ? {} : { healthcheck }),
    restart: readRestart(fields.restart),
    mounts: readMounts(fields.volumes, fields.tmpfs, folder),
    ...readLimits(fields, fields.deploy),
    stopSignal: stopSignal.startsWith("SIG") ? stopSignal : `SIG${stopSignal}`,
    stopGracePeriodMs: readDuration(fields.stop_grace_period, 0) ?? 10_000,
    readOnly: flag(fields.read_only),
    init: flag(fields.init),
    labels: readLabels(fields.labels),
    profiles: given(fields.profiles) ? fields.profiles.strings("a profile") : [],
    secrets: readSecrets(fields.secrets),
    allowRoot,
    ...(local === undefined ? {} : { local }),
    ...(given(fields["x-commands"]) ? { commands: readCommands(fields["x-commands"]) } : {}),
  };
}
