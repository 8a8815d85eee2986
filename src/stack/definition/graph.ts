/** The dependency graph: everything named exists, and there is no cycle. */
import type { ServiceDefinition } from "./types.js";

/** Names of one cycle, the first repeated at its end; null when there is none. */
export function findCycle(services: Record<string, ServiceDefinition>): string[] | null {
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (name: string): string[] | null => {
    const at = way.indexOf(name);
    if (at >= 0) return [...way.slice(at), name];
    const service = services[name];
    if (done.has(name) || service === undefined) return null;
    way.push(name);
    for (const dependency of Object.keys(service.dependsOn)) {
      const cycle = visit(dependency);
      if (cycle !== null) return cycle;
    }
    way.pop();
    done.add(name);
    return null;
  };
  for (const name of Object.keys(services)) {
    const cycle = visit(name);
    if (cycle !== null) return cycle;
  }
  return null;
}

const PUBLISHED = /\{published:([^:{}]*):([^:{}]*)\}/g;

/** `{published:<service>:<port>}` tokens in a value. */
export const publishedTokens = (value: string): { token: string; service: string; port: number }[] =>
  [...value.matchAll(PUBLISHED)].map(([token, service = "", port = ""]) => ({ token, service, port: Number(port) }));
