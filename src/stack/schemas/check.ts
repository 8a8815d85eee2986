/** Report of check_stack: what a project's compose files would start, and the problems that prevent it. */
import * as z from "zod";
import { RUNTIMES } from "../vocabulary.js";

const text = z.string();

const checkedService = z.object({
  service: text,
  image: text.nullable(),
  /** Built from a Dockerfile of the project. */
  build: z.boolean(),
  user: text.nullable(),
  ports: z.array(
    z.object({
      container_port: z.number(),
      /** The one that a start would use now; null where it is not known. */
      host_port: z.number().nullable(),
    }),
  ),
  depends_on: z.array(text),
  /** What would run it, on a runtime without containers. Null when nothing can. */
  runs: text.nullable().optional(),
});

const checkProblem = z.object({
  /**
   * `policy`: only the operator can allow it. `invalid`: the files are invalid. `runtime`: no available runtime can run
   * it. `port`: host ports are in use.
   */
  kind: z.enum(["policy", "invalid", "runtime", "port"]),
  /** Null when the problem does not belong to a service. */
  service: text.nullable(),
  file: text,
  line: z.number().nullable(),
  path: text,
  message: text,
  hint: text,
});

export const stackCheck = z.object({
  project: text,
  folder: text,
  /** True when a start with these files is possible. */
  startable: z.boolean(),
  runtime: z.enum(RUNTIMES).nullable(),
  files: z.array(text),
  /** Services that would run. When some services have problems, the services that would run without those. */
  services: z.array(checkedService),
  /** Services to exclude so that the others can start. */
  without: z.array(text),
  /** Services that earlier calls excluded or stopped: a start leaves them out unless it names them. */
  left_out: z.array(text),
  volumes: z.array(text),
  notes: z.array(text),
  problems: z.array(checkProblem),
});

export type StackCheck = z.infer<typeof stackCheck>;
export type CheckedService = z.infer<typeof checkedService>;
export type CheckProblem = z.infer<typeof checkProblem>;
