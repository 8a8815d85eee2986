/** The names of a stack's services as the /etc/hosts of a service with namespaces, for names in its code and files. */
import { type AddressBook, LOOPBACK } from "./address-rewrite.js";

/**
 * A service whose container port is reachable has a line: at 127.0.0.1 where it listens on that port, else at an address
 * of the stack. Other names have none, so that they never lead to another stack.
 */
export function hostNames(book: AddressBook, own: string): string {
  const lines = [`${LOOPBACK} localhost ${own}`, "::1 localhost ip6-localhost ip6-loopback"];
  for (const name of new Set(book.services())) {
    if (name === own) continue;
    const [address] = book
      .ports(name)
      .flatMap((port) => (book.hostPort(name, port) === port ? LOOPBACK : (book.address?.(name, port) ?? [])));
    if (address !== undefined) lines.push(`${address} ${name}`);
  }
  return `${lines.join("\n")}\n`;
}
