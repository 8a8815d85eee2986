/** How a person at this machine reaches a service: its published addresses, and its environment with the secrets. */
import { join } from "node:path";
import { StackwardenError } from "../errors.js";
import { callTo, hint } from "../hint.js";
import type { ServiceDefinition } from "../stack/definition/types.js";
import type { ServiceReport, StackReport } from "../stack/model.js";
import type { Session } from "./session.js";

/** The project's stack as the process that runs it reports it. Throws STACK_NOT_RUNNING. */
export async function runningStack(session: Session): Promise<StackReport> {
  const { project } = session;
  const { stacks } = await session.call<{ stacks: StackReport[] }>("list_stacks", { project });
  const [stack] = stacks;
  if (stack !== undefined && stack.state !== "stopped" && stack.state !== "lost") return stack;
  throw new StackwardenError("STACK_NOT_RUNNING", `The stack of ${project} is not running.`, {
    hint: hint`Start it with ${callTo("start_stack")}.`,
  });
}

/** Throws UNKNOWN_SERVICE. */
export function serviceOf(stack: StackReport, name: string): ServiceReport {
  const service = Object.hasOwn(stack.services, name) ? stack.services[name] : undefined;
  if (service !== undefined) return service;
  const valid = Object.keys(stack.services);
  throw new StackwardenError(
    "UNKNOWN_SERVICE",
    `${stack.project} has no service ${JSON.stringify(name.slice(0, 64))}. Services: ${valid.join(", ")}.`,
    {
      hint: "Use one of the names listed.",
      details: { valid },
    },
  );
}

/**
 * The service as its compose file defines it, with the values of its secrets, which never leave this process except to
 * the person's terminal. Published addresses are those of the running stack.
 * @returns with the names of the variables that hold a secret
 */
export async function definitionWithSecrets(
  { config, project }: Session,
  stack: StackReport,
  name: string,
): Promise<ServiceDefinition & { hidden: Set<string> }> {
  const [{ loadStack }, { openSecretStore }, { publishedTokens }] = await Promise.all([
    import("../stack/definition/load.js"),
    import("../stack/storage/secret-store.js"),
    import("../stack/definition/graph.js"),
  ]);
  const secrets = await openSecretStore(join(config.stateDir, "projects", project, "secrets.json"));
  const definition = await loadStack({
    projectId: project,
    folder: stack.folder,
    profiles: [],
    services: Object.keys(stack.services),
    allowRoot: config.allowRoot,
    allowBinds: config.allowBinds,
    generateSecret: (secret) => secrets.generate(secret),
  });
  const service = definition.services[name];
  if (service === undefined)
    throw new StackwardenError("UNKNOWN_SERVICE", `The compose file does not define ${name} any more.`, {
      hint: hint`Apply the file with ${callTo("start_stack")}.`,
    });
  const environment = Object.fromEntries(
    Object.entries(service.environment).map(([variable, value]) => [
      variable,
      publishedTokens(value).reduce((text, { token, service: target, port }) => {
        const endpoint = stack.services[target]?.endpoints.find(({ container_port }) => container_port === port);
        return endpoint === undefined ? text : text.replaceAll(token, `${endpoint.host}:${endpoint.host_port}`);
      }, value),
    ]),
  );
  const secretValues = [...definition.secretValues, ...secrets.values()].filter((value) => value !== "");
  const hidden = Object.entries(environment)
    .filter(([variable, value]) => {
      const named = service.secretEnvironment.includes(variable);
      return named || secretValues.some((secret) => value.includes(secret));
    })
    .map(([variable]) => variable);
  return { ...service, environment, hidden: new Set(hidden) };
}
