/** Finds the services that must restart when a service is replaced. */
import type { ServiceDefinition } from "../definition/types.js";

type Services = Iterable<Pick<ServiceDefinition, "name" | "dependsOn" | "instanceOf">>;

/**
 * The further instances of `name`, and services that depend on it, directly or through others.
 * @param all true: follow all dependencies; false: follow only `depends_on.<x>.restart: true`
 */
export function dependentsOf(name: string, services: Services, all: boolean): string[] {
  const list = [...services];
  const dependents = new Set<string>();
  const follow = (of: string): void => {
    for (const { name: other, dependsOn, instanceOf } of list) {
      const dependency = Object.hasOwn(dependsOn, of) ? dependsOn[of] : undefined;
      const depends = dependency !== undefined && (all || dependency.restart);
      if (dependents.has(other) || !(depends || instanceOf === of)) continue;
      dependents.add(other);
      follow(other);
    }
  };
  follow(name);
  return [...dependents];
}
