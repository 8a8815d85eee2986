/** Determines what a start would do, without starting anything. */
import { StackwardenError } from "../../errors.js";
import type { Problem } from "../definition/files/problems.js";
import { forRuntime } from "../definition/for-runtime.js";
import type { ServiceDefinition, StackDefinition } from "../definition/types.js";
import type { Endpoint, StackRuntime } from "../runtime.js";
import type { CheckedService, CheckProblem, StackCheck } from "../schemas/check.js";
import type { StackSettings } from "../settings.js";
import { textCleaner } from "../text/clean-text.js";
import { createRedactor } from "../text/redaction.js";
import { cleanTexts } from "../text/sanitize-error.js";
import { hiddenSecrets } from "../text/visible-values.js";
import type { RuntimeName } from "../vocabulary.js";
import { type PortPlan, planPorts } from "./port-plan.js";
import { chooseRuntime } from "./runtime-choice.js";

export interface CheckOptions {
  project: string;
  folder: string;
  config: StackSettings;
  runtimes: readonly StackRuntime[];
  /** Reads the definition without these services as well. */
  read(without: readonly string[]): Promise<StackDefinition>;
  /** The definition with the ports that earlier calls selected. */
  selected(written: StackDefinition): StackDefinition;
  /** Notes on what earlier calls set in place of the files' values. */
  overrides(written: StackDefinition): Promise<string[]>;
  /** Services that earlier calls excluded. */
  leftOut(): readonly string[];
  /** Addresses of the project's running stack. */
  own(): readonly Endpoint[];
  /** True while the project's stack is starting. */
  starting(): boolean;
}

const serviceOf = (path: string): string | null =>
  /^services\.("[^"]+"|[^.[]+)/.exec(path)?.[1]?.replaceAll('"', "") ?? null;

/**
 * Extracts the file problems of an error.
 * @throws every other error
 */
function fileProblems(error: unknown): CheckProblem[] {
  if (!(error instanceof StackwardenError) || (error.code !== "INVALID_STACK" && error.code !== "POLICY_VIOLATION"))
    throw error;
  const problems = error.details?.problems as (Problem & { code: string })[] | undefined;
  const whole = { code: error.code, file: "", line: null, path: "", message: error.message, hint: error.hint };
  return (problems ?? [whole]).map(({ code, file, line, path, message, hint }) => ({
    kind: code === "POLICY_VIOLATION" ? "policy" : "invalid",
    service: serviceOf(path),
    file,
    line,
    path,
    message,
    hint,
  }));
}

const checkedService = (service: ServiceDefinition, plan: PortPlan | null): CheckedService => ({
  service: service.name,
  image: service.image ?? null,
  build: service.build !== undefined,
  user: service.user ?? null,
  ports: service.ports.map((mapping) => ({
    container_port: mapping.containerPort,
    host_port: plan === null ? (mapping.hostPort ?? null) : plan.hostPort(service.name, mapping),
  })),
  depends_on: Object.keys(service.dependsOn),
});

function hostWarnings({ services, unknownHosts = [] }: StackDefinition): string[] {
  const known = `services are: ${Object.keys(services).join(", ")}.`;
  return unknownHosts.map(
    ({ service, variable, host, near }) =>
      `${service}: ${variable} names the host ${host}, which is not a service, an alias or an extra host of the compose files; ${near === undefined ? known : `did you mean ${near}?`}`,
  );
}

/** Reads the definition, without the services that have problems when necessary. */
async function readAll(
  read: CheckOptions["read"],
): Promise<{ definition: StackDefinition | null; problems: CheckProblem[]; without: string[] }> {
  const problems: CheckProblem[] = [];
  const without: string[] = [];
  for (;;) {
    try {
      return { definition: await read(without), problems, without };
    } catch (error) {
      // When no service remains, report only the problems found so far.
      const more = problems.length > 0 && !(error instanceof StackwardenError) ? [] : fileProblems(error);
      const services = more.flatMap(({ service }) => service ?? []).filter((name) => !without.includes(name));
      if (problems.length === 0 || services.length > 0) problems.push(...more);
      if (services.length === 0) return { definition: null, problems, without: [] };
      without.push(...new Set(services));
    }
  }
}

async function runtimeOf({ config, runtimes, project }: CheckOptions): Promise<StackRuntime | CheckProblem> {
  try {
    return (await chooseRuntime(config, runtimes, project)).runtime;
  } catch (error) {
    if (!(error instanceof StackwardenError)) throw error;
    const { message, hint } = error;
    return { kind: "runtime", service: null, file: "", line: null, path: "", message, hint };
  }
}

/**
 * @returns the report, and the definition as the files have it
 * @throws UNKNOWN_SERVICE, INVALID_INPUT for unknown services and profiles in the request
 */
export async function checkStack(
  options: CheckOptions,
): Promise<{ check: StackCheck; definition: StackDefinition | null }> {
  const [runtime, read] = await Promise.all([runtimeOf(options), readAll(options.read)]);
  const chosen = "open" in runtime ? runtime : null;
  const name: RuntimeName | null = chosen?.name ?? null;
  const problems = [...read.problems, ...("open" in runtime ? [] : [runtime])];
  const { definition: written } = read;
  const selected = written === null ? null : options.selected(written);
  const definition = selected === null || name === null ? selected : forRuntime(selected, name);
  const checks =
    definition === null
      ? []
      : ((await chosen?.checkServices?.({ definition, folder: options.folder, settings: options.config })) ?? []);
  for (const { service, missing } of checks)
    for (const { message, fix } of missing)
      problems.push({
        kind: "runtime",
        service,
        file: "",
        line: null,
        path: `services.${service}`,
        message,
        hint: fix,
      });
  const plan =
    definition === null || chosen === null
      ? null
      : await planPorts({
          definition,
          runtime: chosen,
          settings: options.config,
          own: options.own,
          starting: options.starting,
        });
  problems.push(...(plan?.problems ?? []));
  const runs = new Map(checks.map((one) => [one.service, one.runs]));
  return {
    definition: written,
    check: cleaned(written, {
      project: options.project,
      folder: options.folder,
      startable: problems.length === 0,
      runtime: name,
      files: definition?.files ?? [],
      services: Object.values(definition?.services ?? {}).map((service) => ({
        ...checkedService(service, plan),
        ...(runs.has(service.name) ? { runs: runs.get(service.name) ?? null } : {}),
      })),
      without: read.without,
      left_out: [...options.leftOut()],
      volumes: definition?.volumes ?? [],
      notes: [
        ...(definition?.notes ?? []),
        ...(definition === null ? [] : hostWarnings(definition)),
        ...(plan?.notes ?? []),
        ...(written === null ? [] : await options.overrides(written)),
        ...checks.flatMap(({ service, notes }) => notes.map((note) => `${service}: ${note}`)),
      ],
      problems,
    }),
  };
}

/** The report quotes commands, names and files of the project: as safe to read as the reports of a running stack. */
function cleaned(definition: StackDefinition | null, check: StackCheck): StackCheck {
  const redactor = createRedactor(definition === null ? [] : hiddenSecrets(definition, check.project));
  return cleanTexts(check, textCleaner(redactor));
}
