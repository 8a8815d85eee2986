/** Runs callers' commands in one project's services: in the running stack, or in a temporary one. */
import { StackwardenError } from "../../errors.js";
import { forRuntime } from "../definition/for-runtime.js";
import type { Limits, ServiceDefinition, StackDefinition } from "../definition/types.js";
import type { CallContext, CommandRequest } from "../model.js";
import type { RuntimeStack } from "../runtime.js";
import type { CommandOutcome } from "../schemas/commands.js";
import type { StackSettings } from "../settings.js";
import type { ProjectRecords } from "../storage/project-records.js";
import { commandArgv } from "./command-policy.js";
import type { ProjectParts } from "./project-parts.js";
import { type CommandTarget, runCommand } from "./run-command.js";
import type { Stack } from "./stack.js";
import { inTemporaryStack, unpublished } from "./temporary-stack.js";

/** Maximum concurrent commands in one project. */
const MOST_COMMANDS = 16;

const absent = ({ name }: ServiceDefinition): string =>
  `${name} does not run; the command ran in a fresh instance of it.`;

export class ProjectCommands {
  #running = 0;

  constructor(private readonly parts: ProjectParts) {}

  /** @param settings settings of the calling client; its command policy applies */
  async run(request: CommandRequest, call: CallContext, settings: StackSettings): Promise<CommandOutcome> {
    if (this.#running >= MOST_COMMANDS)
      throw new StackwardenError(
        "TOO_MANY_REQUESTS",
        `${MOST_COMMANDS} commands run in ${this.parts.storage.id} already.`,
        {
          hint: "Wait until one of them has ended, or cancel it.",
        },
      );
    this.#running += 1;
    try {
      return await this.#run(request, call, settings);
    } finally {
      this.#running -= 1;
    }
  }

  async #run(request: CommandRequest, call: CallContext, settings: StackSettings): Promise<CommandOutcome> {
    const { supervisor, exclusive } = this.parts;
    for (;;) {
      // While a stack starts, commands run in the services that already run.
      if (supervisor.running !== null) return this.#inStack(supervisor.running, request, call, settings);
      const alone = await exclusive.run(call, "command", (own) => this.#inTemporaryStack(request, own, settings));
      if (alone !== null) return alone.value;
    }
  }

  async #inStack(
    stack: Stack,
    request: CommandRequest,
    call: CallContext,
    settings: StackSettings,
  ): Promise<CommandOutcome> {
    const { storage, supervisor } = this.parts;
    const { runtimeStack } = stack;
    const records = await storage.records();
    const unit = stack.units.get(request.service);
    // A call left the service out or stopped it, or its profile is not active.
    const definition =
      unit === undefined
        ? forRuntime(await supervisor.definitionWith(request.service, settings, records), runtimeStack.runtime)
        : undefined;
    const service = unit?.definition ?? unpublished(definition?.services[request.service] as ServiceDefinition);
    const argv = commandArgv(request, service, settings.commands);
    const instance = unit?.instance ?? null;
    const target: CommandTarget =
      unit !== undefined && instance !== null && request.oneOff !== true
        ? { oneOff: false, run: (exec) => unit.exec(instance, exec) }
        : this.#oneOff(
            runtimeStack,
            service,
            supervisor.limits(service.name, { definition }),
            records,
            call,
            definition,
          );
    if (instance === null) target.absent = absent(service);
    return runCommand({ project: storage.id, service, argv, request, records, target, call });
  }

  #oneOff(
    stack: RuntimeStack,
    service: ServiceDefinition,
    limits: Limits,
    { logs }: ProjectRecords,
    { progress }: CallContext,
    definition?: StackDefinition,
  ): CommandTarget {
    const generation = Math.max(1, logs.lastGeneration(service.name));
    return {
      oneOff: true,
      run: ({ signal, ...exec }) =>
        stack.runOneOff({
          service,
          ...(definition === undefined ? {} : { definition }),
          generation,
          limits,
          sink: logs.sink(service.name, generation),
          signal,
          phase: (message) => progress({ progress: 0, total: 0, message }),
          exec,
        }),
    };
  }

  #inTemporaryStack(request: CommandRequest, call: CallContext, settings: StackSettings): Promise<CommandOutcome> {
    const { storage, supervisor, runtimes } = this.parts;
    const { id: project, folder, directory: stateDir } = storage;
    return supervisor.withDefinition(
      settings,
      async ({ definition, records, context }) => {
        const service = definition.services[request.service] as ServiceDefinition;
        const argv = commandArgv(request, service, settings.commands);
        return inTemporaryStack(
          {
            project,
            folder,
            stateDir,
            config: settings,
            runtimes,
            definition,
            service: service.name,
            dependencies: request.dependencies === true,
            signal: call.signal,
            actor: call.actor,
            context,
            phase: (message) => call.progress({ progress: 0, total: 0, message }),
          },
          (stack, one) => {
            const target = this.#oneOff(stack, one, supervisor.limits(one.name, { definition }), records, call);
            target.absent =
              request.dependencies === true
                ? `${one.name} itself does not run, and the command could not reach it; its dependencies ran for the command. start_stack with services ["${one.name}"] starts it.`
                : `The stack does not run: the command could reach none of its services. start_stack with services ["${one.name}"] starts ${one.name}; dependencies: true starts only what it depends on, for this command.`;
            return runCommand({ project, service: one, argv, request, records, target, call });
          },
        );
      },
      request.service,
    );
  }
}
