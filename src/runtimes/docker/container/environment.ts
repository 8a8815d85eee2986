/** A service's environment with published addresses filled in. */
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { Image } from "../image/image.js";

const PUBLISHED = /\{published:([A-Za-z0-9._-]+):(\d{1,5})\}/g;

export interface EnvironmentOptions {
  service: Pick<ServiceDefinition, "environment">;
  image: Pick<Image, "environment">;
  hostPort(service: string, containerPort: number): number | undefined;
  /** See `ContainerUser`. */
  homeless: boolean;
}

/** Environment in the format of the Engine API; the engine adds the image's own variables. */
export function containerEnvironment({ service, image, hostPort, homeless }: EnvironmentOptions): string[] {
  const values = Object.entries(service.environment).map(([name, raw]): [string, string] => [
    name,
    raw.replace(PUBLISHED, (_whole, other: string, port: string) => {
      const published = hostPort(other, Number(port));
      // Not published: use the name by which other services of the stack reach it.
      return published === undefined ? `${other}:${port}` : `127.0.0.1:${published}`;
    }),
  ]);
  // Package managers and compilers write below HOME, which would be `/` for a user that the image does not define.
  const home = homeless && service.environment.HOME === undefined && image.environment.HOME === undefined;
  return [...(home ? ["HOME=/tmp"] : []), ...values.map(([name, value]) => `${name}=${value}`)];
}
