/** Compact answer of check_stack for agents: one line for each service and problem. */
import * as z from "zod";
import type { StackCheck } from "../../stack/schemas/check.js";

const text = z.string();

/** Ends a message with a full stop, because its hint follows. */
const withFullStop = (message: string): string => (/[.!?]$/.test(message) ? message : `${message}.`);

export const briefCheck = {
  output: z.object({
    project: text,
    startable: z.boolean(),
    runtime: text.nullable(),
    files: z.array(text),
    services: z.record(z.string(), text),
    without: z.array(text).optional(),
    notes: z.array(text).optional(),
    problems: z.array(text).optional(),
  }),
  of: ({ project, startable, runtime, files, services, without, notes, problems }: StackCheck) => ({
    project,
    startable,
    runtime,
    files,
    services: Object.fromEntries(
      services.map(({ service, image, build, ports, depends_on, runs }) => [
        service,
        [
          image ?? (build ? "built" : "local"),
          ...(runs === undefined || runs === null ? [] : [`(${runs})`]),
          ...ports.map((port) => `${port.host_port ?? "any"}:${port.container_port}`),
          ...(depends_on.length === 0 ? [] : [`after ${depends_on.join(", ")}`]),
        ].join(" "),
      ]),
    ),
    ...(without.length === 0 ? {} : { without }),
    ...(notes.length === 0 ? {} : { notes }),
    ...(problems.length === 0
      ? {}
      : {
          problems: problems.map(({ kind, file, line, path, message, hint }) =>
            [
              [kind, `${file}${line === null ? "" : `:${line}`}`, path, withFullStop(message)]
                .filter((part) => part !== "")
                .join(": "),
              hint,
            ]
              .filter((part) => part !== "")
              .join(" "),
          ),
        }),
  }),
};
