/** One volume of an engine. */
import type Docker from "dockerode";
import { isNotFound } from "../engine/errors.js";

/**
 * Time of creation; null for a volume that does not exist.
 * @throws the engine's other errors
 */
export const createdAt = (docker: Docker, name: string): Promise<string | null> =>
  docker
    .getVolume(name)
    .inspect()
    .then(
      (volume) => String((volume as { CreatedAt?: string }).CreatedAt ?? ""),
      (error: unknown) => {
        if (isNotFound(error)) return null;
        throw error;
      },
    );

/** Deletes a volume, which may be gone already. @throws the engine's other errors */
export const removeVolume = (docker: Docker, name: string): Promise<void> =>
  docker
    .getVolume(name)
    .remove()
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
