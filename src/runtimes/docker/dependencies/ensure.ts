/**
 * Dependencies of the project's own programs (`x-local.install`): installed once as the service's user into a volume, and
 * again when image, user or manifest change.
 */
import { createHash } from "node:crypto";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { installationOf } from "../../shared/installation.js";
import { LABEL, labelFilter, stackLabels } from "../leftovers/labels.js";
import type { ServiceVolume } from "../volumes/ensure.js";
import { volumeLabels, volumeName } from "../volumes/names.js";
import { createdAt, removeVolume } from "../volumes/volume.js";
import { type InstallOptions, install } from "./install.js";
import { type InstallPlan, installPlan, type PlanOptions } from "./plan.js";
import { recordDependencies, recordedDependencies } from "./record.js";

export interface DependencyOptions
  extends Omit<InstallOptions, "service" | "plan" | "volume" | "downloads" | "retrying">,
    Omit<PlanOptions, "service"> {
  service: ServiceDefinition;
  notice(type: "installing" | "warning" | "retrying", message: string): void;
}

export interface Dependencies {
  volumes: ServiceVolume[];
  /** For the service; its own values take precedence. */
  environment: Record<string, string>;
}

const NONE: Dependencies = { volumes: [], environment: {} };

/** A service and its one-off commands wait for one installation. */
const serial = new KeyedMutex();

/** Deletes earlier installations of the service. A volume that a container still uses stays until the next time. */
async function removeOthers({ engine, identity, service }: DependencyOptions, current: string): Promise<void> {
  const labels = { ...stackLabels(identity), [LABEL.dependencies]: service.name };
  const { Volumes } = await engine.docker.listVolumes({ filters: { label: labelFilter(labels) } as never });
  for (const { Name } of Volumes ?? [])
    if (Name !== current) await removeVolume(engine.docker, Name).catch(() => undefined);
}

async function ensure(options: DependencyOptions, plan: InstallPlan): Promise<string> {
  const { engine, identity, service, image, user, notice } = options;
  const { docker } = engine;
  const key = createHash("sha256").update(`${image.id}\0${user}\0${plan.key}`).digest("hex").slice(0, 12);
  const volume = volumeName(identity, `${service.name}-dependencies-${key}`);
  const record = await recordedDependencies(identity.stateDir, service.name);
  const before = await createdAt(docker, volume);
  if (before !== null && record?.volume === volume && record.created === before) return volume;
  notice("installing", `${service.name}: installing dependencies (${plan.what}).`);
  if (plan.warning !== undefined) notice("warning", plan.warning);
  // An interrupted installation left it.
  if (before !== null) await removeVolume(docker, volume);
  const labels = { ...volumeLabels(identity), [LABEL.dependencies]: service.name };
  const downloads = volumeName(identity, `${plan.what.split(" ")[0]}-downloads-${user.replace(/\W/g, "-")}`);
  await docker.createVolume({ Name: downloads, Labels: volumeLabels(identity) });
  await docker.createVolume({ Name: volume, Labels: labels });
  try {
    await install({
      ...options,
      service: service.name,
      plan,
      volume,
      downloads,
      retrying: (message) => notice("retrying", message),
    });
    await recordDependencies(identity.stateDir, service.name, {
      volume,
      created: (await createdAt(docker, volume)) ?? "",
    });
  } catch (error) {
    await removeVolume(docker, volume).catch(() => undefined);
    throw error;
  }
  await removeOthers(options, volume).catch(() => undefined);
  return volume;
}

/** @throws DEPENDENCY_INSTALL_FAILED, UNSUPPORTED, RUNTIME_UNAVAILABLE, STORAGE_FAILED, the signal's reason */
export async function ensureDependencies(options: DependencyOptions): Promise<Dependencies> {
  const { service, identity, image, folder, exclude } = options;
  const installation = installationOf(service);
  if (installation === null) return NONE;
  const plan = await installPlan({ service: service.name, folder, exclude }, installation);
  if (plan === null) return NONE;
  const name = await serial.run([`${identity.stateDir}\0${service.name}`], () => ensure(options, plan));
  const { target, readOnly, environment } = plan.service;
  return {
    volumes: [{ name, target, readOnly, noCopy: true, fresh: false }],
    environment: environment(image.environment.PATH ?? ""),
  };
}
