/**
 * Decides which commands callers may run in a service: the operator sets the policy, and the compose file declares
 * commands.
 */
import { StackwardenError } from "../../errors.js";
import { splitAtOperator } from "../definition/attributes/read-command.js";
import type { ServiceDefinition } from "../definition/types.js";
import type { StackSettings } from "../settings.js";

export interface RequestedCommand {
  /** An argument vector, or a text: the name of a declared command, else split into words without a shell. */
  command: readonly string[] | string;
  /** Run `command` with /bin/sh. Default false. */
  shell?: boolean;
  environment?: Readonly<Record<string, string>>;
  workdir?: string;
}

const invalid = (problem: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_INPUT", `command: ${problem}`, {
    hint,
    details: { operation: "run_command", issues: [{ field: "command", problem, valid: hint }] },
  });

function argvOf({ command, shell }: RequestedCommand): string[] {
  if (shell === true) {
    if (typeof command !== "string")
      throw invalid(
        "must be a text when shell is true, not a list.",
        "Give the command as one text, or leave shell out.",
      );
    return ["/bin/sh", "-c", command];
  }
  if (typeof command !== "string") return [...command];
  const split = splitAtOperator(command);
  if (split === null) throw invalid("has a quote that is not closed.", 'Give a list: ["program", "argument"].');
  const { words, dropped, expansion } = split;
  if (dropped !== "")
    throw invalid(
      `has a shell operator (${JSON.stringify(dropped.slice(0, 20))}), which needs a shell.`,
      "With shell: true the service's shell reads it; or give a list of arguments.",
    );
  if (expansion !== "")
    throw invalid(
      `has ${JSON.stringify(expansion.slice(0, 20))}, which only a shell replaces.`,
      "With shell: true the service's shell reads it; or give it in single quotes, or a list of arguments, to pass it unchanged.",
    );
  if (words.length === 0 || words[0] === "") throw invalid("is empty.", 'Give a list: ["program", "argument"].');
  return words;
}

/**
 * A variable such as NODE_OPTIONS or LD_PRELOAD, or another directory, makes a declared command run other code.
 * @throws COMMAND_NOT_ALLOWED
 */
function refuseChanges({ environment = {}, workdir }: RequestedCommand, service: string): void {
  const field = workdir !== undefined ? "workdir" : Object.keys(environment).length > 0 ? "env" : null;
  if (field === null) return;
  throw new StackwardenError(
    "COMMAND_NOT_ALLOWED",
    `The commands that the compose file declares for ${service} accept no ${field}, which can change what they run.`,
    { hint: `Leave ${field} out, or have the operator set \`commands: any\`.`, details: { service, field } },
  );
}

/**
 * Resolves a request to the argument vector to run.
 * @throws COMMAND_NOT_ALLOWED, INVALID_INPUT
 */
export function commandArgv(
  request: RequestedCommand,
  service: Pick<ServiceDefinition, "name" | "commands">,
  policy: StackSettings["commands"],
): string[] {
  if (policy === "off")
    throw new StackwardenError("COMMAND_NOT_ALLOWED", "Running commands in services is turned off.", {
      hint: "Only the operator can allow it (`commands` in stackwarden.yaml, STACKWARDEN_COMMANDS).",
    });
  const declared = service.commands ?? {};
  const { command, shell } = request;
  if (policy === "declared") refuseChanges(request, service.name);
  if (typeof command === "string" && shell !== true && Object.hasOwn(declared, command.trim()))
    return [...(declared[command.trim()] as string[])];
  const argv = argvOf(request);
  if (policy === "any") return argv;
  const names = Object.keys(declared);
  if (names.some((name) => JSON.stringify(declared[name]) === JSON.stringify(argv))) return argv;
  throw new StackwardenError(
    "COMMAND_NOT_ALLOWED",
    `This command is not one that the compose file declares for ${service.name}.`,
    {
      hint:
        names.length === 0
          ? `services.${service.name} declares none: the operator can add x-commands, or set \`commands: any\`.`
          : `Give the name of a declared command: ${names.join(", ")}.`,
      details: { service: service.name, declared: names },
    },
  );
}
