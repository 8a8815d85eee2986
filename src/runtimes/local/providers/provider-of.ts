/** Selects the services that the local runtime replaces with servers of this machine. */
import { type ProviderName, providerOfImage } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";

/** `x-local.provider`, else an official image that the project does not build and that has no `x-local.command`. */
export function providerOf({ local, image, build }: ServiceDefinition): ProviderName | null {
  if (local?.provider !== undefined) return local.provider;
  if (local?.command !== undefined || image === undefined || build !== undefined) return null;
  return providerOfImage(image);
}
