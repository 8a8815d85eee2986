/** A temporary stack for one command while the project's stack is not running. Everything is removed afterwards. */
import { withRetry } from "../../system/retry.js";
import type { ServiceDefinition, StackDefinition } from "../definition/types.js";
import type { RuntimeStack, StackRuntime } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import { notEnforceable } from "./limits.js";
import { chooseRuntime } from "./runtime-choice.js";
import type { ServiceContext } from "./service-context.js";
import { Stack } from "./stack.js";

export interface TemporaryStackOptions {
  project: string;
  folder: string;
  stateDir: string;
  config: StackSettings;
  runtimes: readonly StackRuntime[];
  definition: StackDefinition;
  service: string;
  /** Start the service's dependencies first and wait until they are healthy. */
  dependencies: boolean;
  signal: AbortSignal;
  actor: string;
  context(stack: RuntimeStack): ServiceContext;
  phase(message: string): void;
}

/** All direct and indirect dependencies of a service. */
function needs(definition: StackDefinition, name: string, collected = new Set<string>()): Set<string> {
  for (const other of Object.keys(definition.services[name]?.dependsOn ?? {})) {
    if (collected.has(other) || !Object.hasOwn(definition.services, other)) continue;
    collected.add(other);
    needs(definition, other, collected);
  }
  return collected;
}

const reduced = (definition: StackDefinition, services: readonly ServiceDefinition[]): StackDefinition => ({
  ...definition,
  services: Object.assign(Object.create(null), Object.fromEntries(services.map((one) => [one.name, one]))),
});

/** As in `docker compose run`, a one-off instance publishes no ports. */
export const unpublished = (service: ServiceDefinition): ServiceDefinition => ({
  ...service,
  ports: [],
  expose: [
    ...new Set([
      ...service.ports.flatMap(({ containerPort, protocol }) => (protocol === "tcp" ? containerPort : [])),
      ...service.expose,
    ]),
  ],
});

/** @throws the errors of opening the runtime and starting the dependencies; nothing remains then */
export async function inTemporaryStack<T>(
  options: TemporaryStackOptions,
  work: (stack: RuntimeStack, service: ServiceDefinition) => Promise<T>,
): Promise<T> {
  const { project, folder, stateDir, config, runtimes, definition, signal, actor, context, phase } = options;
  const service = unpublished(definition.services[options.service] as ServiceDefinition);
  const needed = options.dependencies ? [...needs(definition, service.name)] : [];
  const others = needed.flatMap((name) => definition.services[name] ?? []);
  const { runtime } = await chooseRuntime(config, runtimes, project);
  if (config.requireEnforcedLimits) {
    const { limits } = (await runtime.check(project, config)).isolation;
    if (limits.level !== "enforced")
      throw notEnforceable(`The limits of ${service.name} cannot be enforced here`, [limits.reason], {
        service: service.name,
      });
  }
  const opened = await withRetry(
    () =>
      runtime.open({
        projectId: project,
        folder,
        definition: reduced(definition, [...others, service]),
        stateDir,
        settings: config,
        signal,
        notice: ({ message }) => phase(message),
      }),
    {
      ...config.retry,
      signal,
      onRetry: ({ error }) => phase(`Opening the runtime again: ${(error as Error).message}`),
    },
  );
  const dependencies = others.length === 0 ? null : new Stack(reduced(definition, others), context(opened));
  try {
    await dependencies?.bringUp({ signal, actor, progress: (name, message) => phase(`${name}: ${message}`) });
    return await work(opened, service);
  } finally {
    await (dependencies === null ? opened.close() : dependencies.stop({ actor }));
  }
}
