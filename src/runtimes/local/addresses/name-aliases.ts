/** Additional names of services: container names, host names, network aliases, and links. */
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import type { AddressBook } from "./address-rewrite.js";

/** Service by alias, for names that are not services themselves. */
export function aliasesOf(definition: StackDefinition, service: ServiceDefinition): Map<string, string> {
  const aliases = new Map<string, string>();
  const add = (alias: string | undefined, name: string): void => {
    if (alias !== undefined && definition.services[alias] === undefined) aliases.set(alias, name);
  };
  for (const other of Object.values(definition.services)) {
    add(other.containerName, other.name);
    add(other.hostname, other.name);
    for (const { aliases: names } of Object.values(other.networks ?? {}))
      for (const alias of names) add(alias, other.name);
  }
  for (const [alias, name] of Object.entries(service.links ?? {})) add(alias, name);
  return aliases;
}

/** An address book that resolves aliases to their services. */
export function withAliases(book: AddressBook, aliases: ReadonlyMap<string, string>): AddressBook {
  const real = (name: string): string => aliases.get(name) ?? name;
  return {
    ...(book.isSeparate === undefined ? {} : { isSeparate: book.isSeparate }),
    services: () => [...book.services(), ...aliases.keys()],
    hostPort: (name, port) => book.hostPort(real(name), port),
    publishedPort: (name, port) => book.publishedPort?.(real(name), port),
    ports: (name) => book.ports(real(name)),
    address: (name, port) => book.address?.(real(name), port),
  };
}
