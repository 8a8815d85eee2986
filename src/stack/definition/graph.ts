/** The dependency graph: detection of cycles, and references to published ports. */
import type { ServiceDefinition } from "./types.js";

/** Service names of one cycle, with the first repeated at the end; null when there is no cycle. */
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
