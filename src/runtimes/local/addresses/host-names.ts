/** The names of a stack's services as the /etc/hosts of a service with namespaces, for names in its code and files. */
import { type AddressBook, LOOPBACK } from "./address-rewrite.js";

/**
 * A service whose container port is reachable has a line: at 127.0.0.1 where it listens on that port, else at an address
 * of the stack. Other names have none, so that they never lead to another stack.
 */
/** @param machine the address of the machine that runs the stack, for `host.docker.internal`; null when it has none */
export function hostNames(book: AddressBook, own: string, machine: string | null = LOOPBACK): string {
  const lines = [`${LOOPBACK} localhost ${own}`, "::1 localhost ip6-localhost ip6-loopback"];
  if (machine !== null) lines.push(`${machine} host.docker.internal`);
  for (const name of new Set(book.services())) {
    if (name === own) continue;
    const [address] = book
      .ports(name)
      .flatMap((port) => (book.hostPort(name, port) === port ? LOOPBACK : (book.address?.(name, port) ?? [])));
    if (address !== undefined) lines.push(`${address} ${name}`);
  }
  return `${lines.join("\n")}\n`;
}
