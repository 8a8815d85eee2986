/** Which services the local runtime can run by itself, without `x-local`. */
import type { ServiceDefinition } from "../../../stack/definition/types.js";

export type ProviderName = "postgres" | "redis";

const IMAGES: ReadonlyMap<string, ProviderName> = new Map([
  ["postgres", "postgres"],
  ["library/postgres", "postgres"],
  ["redis", "redis"],
  ["library/redis", "redis"],
  ["valkey/valkey", "redis"],
  ["valkey", "redis"],
]);

/** The provider of an image name, whatever its tag, digest or registry host. */
export function providerOfImage(image: string): ProviderName | null {
  const name = image
    .replace(/@.*/, "")
    // What has a dot or a port, or is this machine, is a registry.
    .replace(/^(?:localhost|[^/]*[.:][^/]*)\//, "")
    .replace(/:[^/]*$/, "");
  return IMAGES.get(name) ?? null;
}

/** `x-local.command` makes a service an app, whatever its image is. */
export function providerOf(service: ServiceDefinition): ProviderName | null {
  if (service.local?.provider !== undefined) return service.local.provider;
  if (service.local?.command !== undefined || service.image === undefined) return null;
  return providerOfImage(service.image);
}
