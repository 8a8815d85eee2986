/** One service of a project. */

import { needsRoot } from "../root-images.js";
import type { ServiceDefinition } from "../types.js";
import { keysBelow } from "./attributes.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { checkPolicy, checkUser, POLICY_KEYS, readSysctls } from "./policy.js";
import { readBuild } from "./read-build.js";
import { readCommand } from "./read-command.js";
import { readCommands } from "./read-commands.js";
import { readDependencies } from "./read-dependencies.js";
import { isSensitiveName, readEnvironment } from "./read-environment.js";
import { readFileMounts } from "./read-files.js";
import { readDuration, readHealthcheck } from "./read-healthcheck.js";
import { readHooks } from "./read-hooks.js";
import { readLabelFiles, readLabels } from "./read-labels.js";
import { type LimitFields, readLimits } from "./read-limits.js";
import { readLocal } from "./read-local.js";
import { type MountContext, readMounts } from "./read-mounts.js";
import { readAttachments, readExtraHosts, readLinks } from "./read-networks.js";
import { readExpose, readPorts } from "./read-ports.js";
import { readRestart } from "./read-restart.js";
import { readContainerSettings } from "./read-settings.js";
import { readWatch } from "./read-watch.js";

export interface ServiceContext extends Omit<MountContext, "service"> {
  allowRoot(service: string): boolean;
  /** Called with each file that contains a secret. */
  privateFile(path: string): void;
  /** Called with each env file and label file. */
  envFile(path: string): void;
}

const KEYS = [...keysBelow("services"), "deploy", "x-local", "x-commands"];
const DEPLOY_KEYS = keysBelow("services.deploy");
const SIGNAL = /^(?:SIG)?(?:TERM|INT|QUIT|HUP|USR1|USR2|KILL|WINCH|ABRT|RTMIN\+\d{1,2})$/;
const MOST_INSTANCES = 100;

/** Drops undefined, false and empty fields, so that absent settings stay absent. */
function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(
    ([, value]) =>
      value !== undefined &&
      value !== false &&
      !(typeof value === "object" && value !== null && Object.keys(value).length === 0),
  );
  return Object.fromEntries(kept) as never;
}

function readReplicas(reader: NodeReader, scale: NodeReader | undefined, replicas: NodeReader | undefined): number {
  const [own, deployed] = [scale, replicas].map((field) =>
    hasValue(field) ? field.number(0, MOST_INSTANCES) : undefined,
  );
  if (own !== undefined && deployed !== undefined && own !== deployed)
    reader.invalid("has different numbers in scale and deploy.replicas", "Keep one of them.");
  return own ?? deployed ?? 1;
}

function readSignal(reader: NodeReader | undefined): string {
  const text = hasValue(reader) ? reader.string() : undefined;
  if (text === undefined) return "SIGTERM";
  if (SIGNAL.test(text)) return text.startsWith("SIG") ? text : `SIG${text}`;
  const named = ({ "15": "SIGTERM", "2": "SIGINT", "3": "SIGQUIT", "1": "SIGHUP", "9": "SIGKILL" } as const)[
    text as "15"
  ];
  if (named !== undefined) return named;
  reader?.invalid(
    "is not a signal that ends a service",
    "Write SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.",
  );
  return "SIGTERM";
}

export function readService(name: string, reader: NodeReader, context: ServiceContext): ServiceDefinition {
  for (const [key, value] of reader.entries()) if (POLICY_KEYS.includes(key)) checkPolicy(key, value);
  const fields = reader.fields(KEYS);
  const deploy = hasValue(fields.deploy) ? fields.deploy.fields(DEPLOY_KEYS) : {};
  const { folder, note } = context;
  const text = (field: NodeReader | undefined): string | undefined =>
    hasValue(field) ? field.string() || undefined : undefined;
  const flag = (field: NodeReader | undefined): boolean => (hasValue(field) ? (field.boolean() ?? false) : false);

  const image = text(fields.image);
  if (image !== undefined && !/^[a-z0-9][\w./:@-]*$/i.test(image))
    fields.image?.invalid("is not an image reference", "Write it as in redis:7-alpine.");
  const build = hasValue(fields.build) ? readBuild(fields.build, folder) : undefined;
  // The contents of a built image are unknown, whatever its name.
  const local = readLocal(fields["x-local"], hasValue(fields.build) ? undefined : image, folder);
  // A reference that cannot be resolved is a problem by itself.
  const unresolved = fields.image?.tree.fault !== undefined || fields.extends !== undefined;
  if (image === undefined && fields.build === undefined && local === undefined && !unresolved)
    reader.invalid("has neither image nor build", "Give `image`, `build`, or `x-local` for the local runtime.");
  const user = fields.user === undefined ? undefined : fields.user.empty ? "" : fields.user.string();
  const allowRoot = context.allowRoot(name);
  if (user !== undefined) checkUser(fields.user as NodeReader, user, allowRoot);
  if (
    image !== undefined &&
    build === undefined &&
    local === undefined &&
    user === undefined &&
    !allowRoot &&
    needsRoot(image)
  )
    fields.image?.policy(
      "starts as root, and no unprivileged user can run it",
      `Use an image that runs without root, or start the other services without this one (\`without\`). Only the server's own configuration can permit root (allow_root: [${name}]); it adds no kernel capabilities.`,
    );
  const environment = readEnvironment(fields.environment, fields.env_file, folder);
  for (const path of environment.privateFiles) context.privateFile(path);
  for (const path of environment.files) context.envFile(path);
  const command = readCommand(fields.command, note);
  const entrypoint = readCommand(fields.entrypoint, note);
  const workingDir = text(fields.working_dir);
  if (workingDir !== undefined && !workingDir.startsWith("/"))
    fields.working_dir?.invalid(
      "must be an absolute path",
      "It is a path inside the service; for the local runtime give x-local.working_dir.",
    );
  const { healthcheck, timings } = hasValue(fields.healthcheck) ? readHealthcheck(fields.healthcheck) : {};
  const expose = readExpose(fields.expose);
  const networks = readAttachments(fields.networks);
  const mode = text(fields.network_mode);
  if (mode !== undefined && networks !== undefined)
    fields.network_mode?.invalid("and networks exclude each other", "Remove one of them.");
  const links = readLinks(fields.links);
  const replicas = readReplicas(reader, fields.scale, deploy.replicas);
  const containerName = text(fields.container_name);
  if (hasValue(fields.container_name) && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(containerName ?? ""))
    fields.container_name.invalid(
      "is not a container's name",
      "Use at least two letters, digits, dots, dashes and underscores.",
    );
  if (containerName !== undefined && replicas > 1)
    fields.container_name?.invalid("is one name for several instances", "Remove it, or run one instance.");

  return {
    name,
    ...present({ image, build, user, workingDir, healthcheck, local }),
    // An empty list clears the image's own command.
    ...(command === undefined ? {} : { command }),
    ...(entrypoint === undefined ? {} : { entrypoint }),
    environment: environment.values,
    secretEnvironment: [...environment.secret].filter((key) => environment.values[key] !== "" || isSensitiveName(key)),
    ports: hasValue(fields.ports) ? readPorts(fields.ports, note) : [],
    expose: expose.tcp,
    dependsOn: readDependencies(fields.depends_on, links),
    restart: readRestart(fields.restart, deploy.restart_policy),
    mounts: readMounts(fields.volumes, fields.tmpfs, { ...context, service: name }),
    ...readLimits(fields as LimitFields, deploy.resources),
    stopSignal: readSignal(fields.stop_signal),
    stopGracePeriodMs: readDuration(fields.stop_grace_period, 0) ?? 10_000,
    readOnly: flag(fields.read_only),
    init: flag(fields.init),
    labels: { ...readLabelFiles(fields.label_file, folder, context.envFile), ...readLabels(fields.labels) },
    profiles: hasValue(fields.profiles) ? fields.profiles.strings("a profile") : [],
    secrets: readFileMounts(fields.secrets, "secret"),
    allowRoot,
    ...(hasValue(fields["x-commands"]) ? { commands: readCommands(fields["x-commands"]) } : {}),
    ...present({
      exposeUdp: expose.udp,
      watch: readWatch(fields.develop, { service: name, folder, note }),
      healthTimings: timings,
      configs: readFileMounts(fields.configs, "config"),
      containerName,
      networks,
      networkMode: mode === "none" ? mode : undefined,
      links,
      extraHosts: readExtraHosts(fields.extra_hosts),
      sysctls: readSysctls(fields.sysctls),
      replicas: replicas === 1 ? undefined : replicas,
      annotations: readLabels(fields.annotations),
      postStart: readHooks(fields.post_start, { folder, allowRoot, note }),
      preStop: readHooks(fields.pre_stop, { folder, allowRoot, note }),
      ...readContainerSettings(fields, note),
    }),
  };
}
