/** Reads lifecycle hooks (`post_start`, `pre_stop`): commands that run in a service after its start and before its stop. */

import type { ServiceHook } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { checkUser } from "./policy.js";
import { readCommand } from "./read-command.js";
import { readEnvironment } from "./read-environment.js";

interface HookContext {
  folder: string;
  allowRoot: boolean;
  note(text: string): void;
}

export function readHooks(reader: NodeReader | undefined, { folder, allowRoot, note }: HookContext): ServiceHook[] {
  return (reader?.list() ?? []).flatMap((item) => {
    const fields = item.fields(["command", "user", "privileged", "working_dir", "environment", "per_replica"]);
    const command = readCommand(fields.command, note);
    if (command === undefined || command.length === 0)
      return item.invalid("has no command", 'Give `command`, as in ["./migrate.sh"].') ?? [];
    if (hasValue(fields.privileged) && fields.privileged.boolean() === true)
      fields.privileged.policy("gives the hook the whole machine", "Remove it: a hook has the rights of its service.");
    const user = hasValue(fields.user) ? fields.user.string("a user") : undefined;
    if (user !== undefined) checkUser(fields.user as NodeReader, user, allowRoot);
    const workingDir = hasValue(fields.working_dir) ? fields.working_dir.string("a path") : undefined;
    if (workingDir !== undefined && !workingDir.startsWith("/"))
      fields.working_dir?.invalid("must be an absolute path", "It is a path inside the service.");
    return {
      command,
      environment: readEnvironment(fields.environment, undefined, folder).values,
      ...(user === undefined ? {} : { user }),
      ...(workingDir === undefined ? {} : { workingDir }),
    };
  });
}
