import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { Bench } from "../contract/bench.js";

/**
 * A service that runs a shell script. It has a network only where `fields` name one: the engine needs as much time to
 * create a network as to create a container.
 */
export function shellService(
  bench: Bench,
  image: string,
  script: string,
  fields: Partial<ServiceDefinition> = {},
): ServiceDefinition {
  const network = "networks" in fields ? {} : { networkMode: "none" as const };
  const { user: _user, ...service } = bench.python("app", "", { image, ...network, ...fields });
  return { ...service, command: ["sh", "-c", `# ${bench.mark}\n${script}`], ...("user" in fields ? fields : {}) };
}
