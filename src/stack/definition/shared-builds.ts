/**
 * Services that use an image by the name that the build of another service gives it:
 *
 *     web:    { build: ., image: shop/app }
 *     worker: { image: shop/app, command: [celery, worker] }
 *
 * Docker Compose does not pull such an image, and the runtimes here do not give builds the names of the compose file.
 */
import { withoutRefresh } from "./instances.js";
import type { ServiceDefinition } from "./types.js";

/** The name with the tag that an engine assumes; null for a name with a digest, which no build creates. */
function fullName(image: string): string | null {
  if (image.includes("@")) return null;
  return image.slice(image.lastIndexOf("/") + 1).includes(":") ? image : `${image}:latest`;
}

const platformsDiffer = (one: ServiceDefinition, other: ServiceDefinition): boolean =>
  one.platform !== undefined && one.platform !== other.platform;

/**
 * Gives each service whose image another one builds that build.
 * @param all services of the files, also those that do not run
 */
export function shareBuilds(
  services: Readonly<Record<string, ServiceDefinition>>,
  all: readonly ServiceDefinition[],
): void {
  const builders = all.filter(({ build, image }) => build !== undefined && image !== undefined);
  for (const service of Object.values(services)) {
    if (service.build !== undefined || service.image === undefined) continue;
    const name = fullName(service.image);
    const builder = builders.find(({ image = "" }) => name !== null && fullName(image) === name);
    if (builder?.build === undefined || platformsDiffer(service, builder)) continue;
    service.build = Object.hasOwn(services, builder.name) ? withoutRefresh(builder.build) : builder.build;
    service.builtBy = builder.name;
  }
}
