/** File systems of a service in addition to its image: volumes, copies of project folders, temporary space, secrets. */
import { randomBytes } from "node:crypto";
import { dirname, join, relative } from "node:path";
import type { Client, Container } from "@dagger.io/dagger";
import type { Mount, ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import type { CacheVolumeId } from "../volumes/records.js";
import { privateBelow, type UploadOptions, uploadBind } from "./uploads.js";

export interface MountOptions extends UploadOptions {
  service: ServiceDefinition;
  user: string;
  cacheVolume(volume: string): Promise<CacheVolumeId>;
  /** A file of the project. A link to the installed packages is placed beside it. */
  link?: { beside: string; target: string };
}

const depth = (mount: Mount): number => mount.target.split("/").length;

export async function withMounts(
  options: MountOptions,
  base: Container,
): Promise<{ container: Container; notes: string[] }> {
  const { client, service, user, link } = options;
  const notes: string[] = [];
  let container = base;
  let linked = link === undefined;
  // Outer paths first: a mount inside another mount must follow it.
  for (const mount of [...service.mounts].sort((a, b) => depth(a) - depth(b))) {
    if (mount.type === "tmpfs") {
      container = container.withMountedTemp(
        mount.target,
        mount.sizeBytes === undefined ? {} : { size: mount.sizeBytes },
      );
    } else if (mount.type === "volume") {
      // Not the service's present user: another owner would mean another volume, without the data.
      const { key, owner } = await options.cacheVolume(mount.source);
      const volume = client.cacheVolume(key);
      container = container.withMountedCache(mount.target, volume, owner === undefined ? {} : { owner });
      if (mount.readOnly) notes.push(`The volume ${mount.source} is writable: an engine has no read-only volumes.`);
    } else {
      const displayPath = relative(options.folder, mount.source) || ".";
      const upload =
        mount.createHostPath === false || statBeneath(mount.source, "/") !== undefined
          ? await uploadBind(options, mount.source)
          : { kind: "folder" as const, folder: client.directory() };
      if (upload.kind === "secret") {
        const secret = client.setSecret(`${randomBytes(12).toString("hex")}.${displayPath}`, upload.value);
        container = container.withMountedSecret(mount.target, secret, { owner: user, mode: 0o400 });
      } else if (upload.kind === "file")
        container = container.withMountedFile(mount.target, upload.file, { owner: user });
      else {
        let { folder } = upload;
        if (link !== undefined && isBeneath(mount.source, link.beside)) {
          folder = folder.withSymlink(link.target, join(relative(mount.source, dirname(link.beside)), "node_modules"));
          linked = true;
        }
        container = container.withMountedDirectory(mount.target, folder, { owner: user, readOnly: mount.readOnly });
      }
      const hidden = privateBelow(options, mount.source).filter(
        (file) => statBeneath(join(mount.source, file), "/") !== undefined,
      );
      notes.push(
        `${mount.target} is a copy of ${displayPath}, made at every start: restart the service to see changes. The project's folder is never written to.`,
        ...(hidden.length === 0
          ? []
          : [
              `${mount.target} is without ${hidden.join(", ")}: secrets are written there. Give them as \`environment\` or \`secrets\`, or bind the file itself.`,
            ]),
      );
    }
  }
  if (!linked && link !== undefined)
    container = container.withSymlink(link.target, join(service.workingDir ?? "/", "node_modules"));
  return { container, notes };
}

/** Values that must not be visible, in the environment and in files, as secrets of the engine. */
export function withSecrets(
  client: Client,
  container: Container,
  /** Makes the names of the secrets unique for this instance. */
  instance: string,
  user: string,
  secrets: { environment: Record<string, string>; files: { target: string; value: string }[] },
): Container {
  let mounted = container;
  for (const [name, value] of Object.entries(secrets.environment))
    mounted = mounted.withSecretVariable(name, client.setSecret(`${instance}.${name}`, value));
  for (const { target, value } of secrets.files)
    mounted = mounted.withMountedSecret(
      target.startsWith("/") ? target : `/run/secrets/${target}`,
      client.setSecret(`${instance}.file.${target}`, value),
      {
        owner: user,
        mode: 0o400,
      },
    );
  return mounted;
}
