/**
 * Creates the container of a compose service, ready to be started: image or build, user, mounts, environment, entry
 * script.
 */
import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import type { Client, Container, NetworkProtocol } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import { parseDuration } from "../../../stack/definition/attributes/units.js";
import type {
  Healthcheck,
  HealthTest,
  Limits,
  ServiceDefinition,
  StackDefinition,
} from "../../../stack/definition/types.js";
import { type ImageHealthcheck, imageHealthcheck } from "../../shared/image-healthcheck.js";
import { chooseUser, withOwnGroup } from "../../shared/image-user.js";
import { installationOf } from "../../shared/installation.js";
import { privateFiles } from "../../shared/private-files.js";
import { INSTANCE_VARIABLE } from "../engine-host/types.js";
import { checkWords, ENTRY_SCRIPT, entryArgs } from "../entry/entry-script.js";
import { SecretArgs } from "../entry/secret-args.js";
import { ENGINE_VARIABLES, ENTRY_PATH, OWN_PREFIX } from "../entry/types.js";
import type { CacheVolumeId } from "../volumes/records.js";
import { DEPENDENCIES, type InstallOptions, installDependencies } from "./dependencies.js";
import { type SplitEnvironment, splitEnvironment } from "./environment.js";
import { withMounts, withSecrets } from "./mounts.js";
import { ownerNumbers } from "./owner.js";
import type { Staging } from "./staging.js";
import { buildExcludes, uploadFolder } from "./uploads.js";

/** How long the entry script waits for the limits before it gives up. */
export const LIMITS_WAIT_SECONDS = 25;

export interface ContainerOptions extends Pick<InstallOptions, "env" | "signal" | "retry" | "phase" | "notice"> {
  client: Client;
  project: string;
  folder: string;
  stateDir: string;
  definition: StackDefinition;
  service: ServiceDefinition;
  limits: Limits;
  /** True when limits, signals and commands are applied on the engine's host. */
  hostInReach: boolean;
  staging: Staging;
  /** @param owner gives the owner of a new volume */
  cacheVolume(volume: string, owner: () => Promise<string>): Promise<CacheVolumeId>;
  hostPort(service: string, containerPort: number): number | undefined;
  /** A command that will run in the instance, whose own program only waits. Absent: the service's program runs. */
  oneOff?: readonly string[];
}

export interface ReadyContainer {
  id: string;
  /** Arguments of the start. */
  args: string[];
  /** Random for every start; identifies the container on the engine's host. */
  instance: string;
  /** Marks the messages of the entry script; null: the image has no shell, so the script does not run. */
  token: string | null;
  /** Hidden arguments of its command and its check. */
  hidden: SecretArgs;
  user: string;
  /** Argument vector of a one-off command, which follows the entrypoint of the compose file or image. Empty for a service. */
  oneOff: string[];
  /** Files that are never copied to the engine. */
  privateFiles: string[];
  /** The image's check, for a service whose compose file has none. */
  imageHealthcheck: Healthcheck | null;
  notes: string[];
}

/** The command of a check that runs inside the container. */
export function insideTest(healthcheck: Healthcheck | null | undefined): HealthTest | undefined {
  const test = healthcheck?.command ?? healthcheck?.test;
  return test?.kind === "cmd" || test?.kind === "cmd-shell" ? test : undefined;
}

export const namedVolumes = (service: ServiceDefinition): { source: string; target: string }[] =>
  service.mounts.flatMap((mount) => (mount.type === "volume" ? [{ source: mount.source, target: mount.target }] : []));

/** Program of an instance in which a one-off command runs. */
const WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"];

/** Name of the file that holds the compose file's `dockerfile_inline`. */
const INLINE_DOCKERFILE = ".dockerfile.stackwarden";

async function image(options: ContainerOptions): Promise<Container> {
  const { client, service, phase } = options;
  const { build } = service;
  if (build === undefined) {
    if (service.image === undefined)
      throw new StackwardenError("INVALID_STACK", `The service "${service.name}" has no image and no build.`, {
        hint: `Add services.${service.name}.image or services.${service.name}.build.`,
      });
    phase(`pulling ${service.image}`);
    return client.container().from(service.image).sync();
  }
  phase(`building from ${relative(options.folder, build.context) || "the project's folder"}`);
  const inline = build.dockerfileInline;
  const dockerfile = inline === undefined ? (build.dockerfile ?? "Dockerfile") : INLINE_DOCKERFILE;
  const uploaded = await uploadFolder(
    options,
    build.context,
    await buildExcludes(options.folder, build.context, dockerfile),
  );
  const context = inline === undefined ? uploaded : uploaded.withNewFile(dockerfile, inline);
  return context
    .dockerBuild({
      dockerfile,
      ...(build.target === undefined ? {} : { target: build.target }),
      buildArgs: Object.entries(build.args).map(([name, value]) => ({ name, value })),
    })
    .sync();
}

interface ImageFacts {
  entrypoint: string[];
  args: string[];
  user: string;
  path: string;
  shell: boolean;
  /** The image has /etc/passwd. */
  passwd: boolean;
  healthcheck: ImageHealthcheck | null;
  ports: { port: number; protocol: NetworkProtocol }[];
}

const NANOSECONDS = 1_000_000;

/** The HEALTHCHECK of the image; null when it has none. */
async function healthcheckOf(container: Container): Promise<ImageHealthcheck | null> {
  const config = container.dockerHealthcheck();
  // Without a health check, the SDK returns no value or fails.
  const words: string[] | null = await config.args().catch(() => null);
  if (words === null || words === undefined || words.length === 0) return null;
  const duration = async (text: Promise<string | null>): Promise<number> =>
    (parseDuration((await text) ?? "") ?? 0) * NANOSECONDS;
  const [shell, Retries, Interval, Timeout, StartPeriod, StartInterval] = await Promise.all([
    config.shell(),
    config.retries(),
    duration(config.interval()),
    duration(config.timeout()),
    duration(config.startPeriod()),
    duration(config.startInterval()),
  ]);
  const Test = shell ? ["CMD-SHELL", words.join(" ")] : ["CMD", ...words];
  return { Test, Retries, Interval, Timeout, StartPeriod, StartInterval };
}

async function factsOf(container: Container): Promise<ImageFacts> {
  const [entrypoint, args, user, path, shell, passwd, healthcheck, exposed] = await Promise.all([
    container.entrypoint(),
    container.defaultArgs(),
    container.user(),
    container.envVariable("PATH"),
    container.exists("/bin/sh"),
    container.exists("/etc/passwd"),
    healthcheckOf(container),
    container.exposedPorts(),
  ]);
  const ports = await Promise.all(
    exposed.map(async (one) => {
      const [port, protocol] = await Promise.all([one.port(), one.protocol()]);
      return { port, protocol };
    }),
  );
  return {
    entrypoint,
    args,
    user,
    path: path || "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    shell,
    passwd,
    healthcheck,
    ports,
  };
}

function commandOf(service: ServiceDefinition, facts: ImageFacts): string[] {
  const words =
    service.entrypoint === undefined
      ? [...facts.entrypoint, ...(service.command ?? facts.args)]
      : [...service.entrypoint, ...(service.command ?? [])];
  if (words.length > 0) return words;
  throw new StackwardenError(
    "SERVICE_START_FAILED",
    `Neither the image of ${service.name} nor the compose file names a command.`,
    {
      hint: `Add services.${service.name}.command.`,
      details: { service: service.name },
    },
  );
}

/** A shell passes on only variables with valid shell names; the others are set in front of the command. */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function withOddNames(service: string, command: string[], { plain, secret }: SplitEnvironment): string[] {
  const odd = (values: Record<string, string>) => Object.entries(values).filter(([name]) => !SHELL_NAME.test(name));
  const [hidden] = odd(secret);
  if (hidden !== undefined)
    throw new StackwardenError(
      "INVALID_STACK",
      `The secret variable ${hidden[0]} of ${service} has a name that shells do not pass on.`,
      {
        hint: "Use letters, digits and _ in the name, or give the secret as a file (secrets).",
      },
    );
  const words = odd(plain).map(([name, value]) => `${name}=${value}`);
  return words.length === 0 ? command : ["env", ...words, ...command];
}

/** Variables that the engine would overwrite get another name, which the entry script maps back. */
const carried = (values: Record<string, string>, shell: boolean): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      shell && ENGINE_VARIABLES.includes(name) ? `${OWN_PREFIX}${name}` : name,
      value,
    ]),
  );

/** The note of a service whose image has no shell. */
const withoutEntry = (hostInReach: boolean): string =>
  `Its image has no /bin/sh: it runs without stackwarden's entry script. ${
    hostInReach
      ? "Limits are set a moment after its start instead of before it"
      : "Health checks of kind CMD cannot run"
  }, and set-uid programs in it are not disarmed (no_new_privs).`;

export const noOneOff = (service: string, why: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `No one-off command can run for ${service}: ${why}.`, {
    hint: "Use an image with a shell and an engine whose container or machine this server can enter, or the docker or local runtime.",
  });

/**
 * @throws SERVICE_START_FAILED, INVALID_STACK, POLICY_VIOLATION, UNSUPPORTED, DEPENDENCY_INSTALL_FAILED; errors of the engine
 * unchanged
 */
export async function readyContainer(options: ContainerOptions): Promise<ReadyContainer> {
  const { client, service, definition, phase } = options;
  const base = await image(options);
  const facts = await factsOf(base);
  const notes: string[] = [];
  const { user: chosen, note } = chooseUser(service, facts.user);
  const user = facts.passwd ? chosen : withOwnGroup(chosen);
  if (note !== undefined) notes.push(note);
  const { oneOff } = options;
  if (oneOff !== undefined && !facts.shell) throw noOneOff(service.name, "its image has no /bin/sh");
  const ofImage =
    oneOff === undefined && service.healthcheck === undefined
      ? imageHealthcheck(facts.healthcheck, service.healthTimings)
      : null;
  const healthcheck = oneOff === undefined ? (service.healthcheck ?? ofImage) : null;
  const command = oneOff === undefined ? commandOf(service, facts) : WAIT;
  const install = installationOf(service);
  const installed =
    install === null
      ? { container: base, environment: {} }
      : await installDependencies({ ...options, user, path: facts.path }, base, install);
  phase("preparing the container");
  const beside = "linkBeside" in installed ? installed.linkBeside : undefined;
  const mounted = await withMounts(
    {
      ...options,
      user,
      cacheVolume: (volume) => options.cacheVolume(volume, () => ownerNumbers(base, user)),
      ...(beside === undefined ? {} : { link: { beside, target: `${DEPENDENCIES}/node_modules` } }),
    },
    installed.container,
  );
  notes.push(...mounted.notes);
  if (service.readOnly)
    notes.push(
      "read_only has no effect: the engine gives every instance a separate root file system that only its owner can write.",
    );
  const instance = randomBytes(12).toString("hex");
  let container = mounted.container.withUser(user).withoutDockerHealthcheck();
  // The engine would check ports once at the start; stackwarden checks them during the whole life of the service.
  for (const { port, protocol } of facts.ports) container = container.withoutExposedPort(port, { protocol });
  if (service.workingDir !== undefined) container = container.withWorkdir(service.workingDir);
  const split = splitEnvironment(service, definition, options.hostPort);
  const [plain, secret] = [carried(split.plain, facts.shell), carried(split.secret, facts.shell)];
  for (const [name, value] of Object.entries({ ...installed.environment, ...plain }))
    container = container.withEnvVariable(name, value);
  const entryToken = randomBytes(16).toString("hex");
  const hidden = new SecretArgs(entryToken, definition.secretValues);
  notes.push(...warnOfArgs(service, hidden));
  const words = facts.shell ? withOddNames(service.name, command, split) : command;
  if (!facts.shell) refuseHidden(service, healthcheck, hidden, command);
  const started = start({ ...options, healthcheck }, facts.shell ? entryToken : null, words, hidden);
  const oneOffWords =
    oneOff === undefined ? [] : hidden.command([...(service.entrypoint ?? facts.entrypoint), ...oneOff]);
  const files = service.secrets.flatMap(({ source, target }) => {
    const value = definition.secrets[source];
    return value === undefined || value === "" ? [] : [{ target, value }];
  });
  // A config can contain secrets too, so it is passed to the engine the same way.
  for (const { source, target } of service.configs ?? []) {
    const content = definition.configs?.[source];
    if (content !== undefined && content.length > 0) files.push({ target, value: content.toString("utf8") });
  }
  container = withSecrets(client, container, instance, user, {
    environment: { ...secret, ...hidden.environment() },
    files,
  });
  if (started.token === null) notes.push(withoutEntry(options.hostInReach));
  else {
    const script = client.directory().withNewFile("entry", ENTRY_SCRIPT, { permissions: 0o555 }).file("entry");
    container = container.withMountedFile(ENTRY_PATH, script);
  }
  for (const [name, value] of Object.entries(started.environment)) container = container.withEnvVariable(name, value);
  const id = await (await container.withEnvVariable(INSTANCE_VARIABLE, instance).sync()).id();
  return {
    id,
    args: started.args,
    instance,
    token: started.token,
    hidden,
    user,
    oneOff: oneOffWords,
    privateFiles: privateFiles(options.folder, definition),
    imageHealthcheck: ofImage,
    notes,
  };
}

/**
 * Warns of build arguments with secrets: the engine writes build arguments into its telemetry and the image's history,
 * and a build has no way to receive them as secrets.
 */
function warnOfArgs({ build }: ServiceDefinition, hidden: SecretArgs): string[] {
  const names = Object.entries(build?.args ?? {}).flatMap(([name, value]) => (hidden.holdsSecret(value) ? [name] : []));
  return names.length === 0
    ? []
    : [
        `build.args ${names.join(", ")}: the engine keeps what they hold, a secret, in its history and telemetry. Give it to the running service instead (environment, secrets).`,
      ];
}

/** Without a shell, hidden arguments cannot be restored inside the container. */
function refuseHidden(
  service: ServiceDefinition,
  healthcheck: Healthcheck | null,
  hidden: SecretArgs,
  command: string[],
): void {
  const check = checkWords(insideTest(healthcheck));
  const what = [command, check].findIndex((words) => words.some((word) => hidden.holdsSecret(word)));
  if (what < 0) return;
  throw new StackwardenError(
    "INVALID_STACK",
    `The ${what === 0 ? "command" : "healthcheck"} of ${service.name} contains a secret, which an image without /bin/sh cannot receive confidentially.`,
    { hint: "Let the program read it from `environment` or from a file (`secrets`)." },
  );
}

function start(
  { service, limits, hostInReach, healthcheck, oneOff }: ContainerOptions & { healthcheck: Healthcheck | null },
  token: string | null,
  command: string[],
  hidden: SecretArgs,
): { args: string[]; environment: Record<string, string>; token: string | null } {
  if (token === null) return { args: command, environment: {}, token };
  // The check restores its hidden arguments from these.
  const check = hidden.hide(checkWords(insideTest(healthcheck)));
  const test = hostInReach ? undefined : insideTest(healthcheck);
  const entry = entryArgs({
    token,
    limits: hostInReach ? limits : {},
    waitSeconds: LIMITS_WAIT_SECONDS,
    // When the host is reachable, the signal is sent from there.
    stopSignal: hostInReach ? "SIGTERM" : service.stopSignal,
    // The service may be running on the same volumes, beside a one-off command.
    volumes: oneOff === undefined ? namedVolumes(service).map(({ target }) => target) : [],
    command: hidden.hide(command),
    ...(test === undefined || healthcheck === null
      ? {}
      : {
          health: {
            words: check,
            intervalMs: healthcheck.intervalMs,
            timeoutMs: healthcheck.timeoutMs,
            startIntervalMs: healthcheck.startIntervalMs,
          },
        }),
  });
  return { ...entry, token };
}
