/** Checks volumes that several services mount. */
import type { NodeReader } from "./attributes/node-reader.js";
import type { ServiceDefinition } from "./types.js";

const SERVERS = new Set(["postgres", "redis-server", "valkey-server", "docker-entrypoint.sh", "sh", "bash", "/bin/sh"]);

/** True when the service runs a database server. A backup that runs `pg_dump` from the same image does not. */
export function isDatabase({ local, command, entrypoint }: ServiceDefinition): boolean {
  if (local?.provider === undefined) return false;
  const program = [...(entrypoint ?? []), ...(command ?? [])][0];
  return program === undefined || program.startsWith("-") || SERVERS.has(program);
}

/**
 * Refuses a volume that holds the data of two databases. Each database owns the whole folder: the one that starts
 * second fails or damages the data.
 */
export function refuseSharedDatabases(
  services: Readonly<Record<string, ServiceDefinition>>,
  readers: ReadonlyMap<string, NodeReader>,
): void {
  const owners = new Map<string, string>();
  for (const [name, service] of Object.entries(services)) {
    if (!isDatabase(service)) continue;
    for (const mount of service.mounts) {
      if (mount.type !== "volume" || mount.readOnly) continue;
      const other = owners.get(mount.source);
      if (other === undefined) {
        owners.set(mount.source, name);
        continue;
      }
      const own = readers.get(name);
      const at = own?.entries().find(([key]) => key === "volumes")?.[1] ?? own;
      at?.invalid(
        `uses the volume ${mount.source}, in which the database ${other} keeps its data`,
        `Give each database a separate volume: declare another one under the top-level volumes and name it here.`,
      );
    }
  }
}
