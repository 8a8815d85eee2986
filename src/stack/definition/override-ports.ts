/** Host ports that a start asks for, instead of the definition's. */
import { StackwardenError } from "../../errors.js";
import type { StackDefinition } from "./types.js";

/**
 * @param ports host port by service, for its first published port
 * @throws UNKNOWN_SERVICE, INVALID_INPUT for a service that publishes none
 */
export function overridePorts(definition: StackDefinition, ports: Record<string, number>): StackDefinition {
  const services: StackDefinition["services"] = Object.assign(Object.create(null), definition.services);
  for (const [name, hostPort] of Object.entries(ports)) {
    const service = Object.hasOwn(definition.services, name) ? definition.services[name] : undefined;
    const valid = Object.values(definition.services)
      .filter((one) => one.ports.length > 0)
      .map((one) => one.name);
    const options = { hint: `Services with a published port: ${valid.join(", ") || "none"}.`, details: { valid } };
    if (service === undefined)
      throw new StackwardenError("UNKNOWN_SERVICE", `ports: the stack has no service ${name}.`, options);
    const [first, ...others] = service.ports;
    if (first === undefined) throw new StackwardenError("INVALID_INPUT", `ports: ${name} publishes no port.`, options);
    services[name] = { ...service, ports: [{ ...first, hostPort }, ...others] };
  }
  return { ...definition, services };
}
