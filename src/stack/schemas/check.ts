/** What a project's compose files would start, and what stands in the way. */
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
      /** Null: the port's own number or the next free one. */
      host_port: z.number().nullable(),
    }),
  ),
  depends_on: z.array(text),
});

const checkProblem = z.object({
  /** `policy`: only the operator can allow it. `invalid`: the files are wrong. `runtime`: nothing here can run it. */
  kind: z.enum(["policy", "invalid", "runtime"]),
  /** Null: the problem is not one of the file's services. */
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
  /** Nothing stands in the way. */
  startable: z.boolean(),
  runtime: z.enum(RUNTIMES).nullable(),
  files: z.array(text),
  /** What would run; where problems concern some services, what would run without those. */
  services: z.array(checkedService),
  /** Services to leave out so that the others can start. */
  without: z.array(text),
  volumes: z.array(text),
  notes: z.array(text),
  problems: z.array(checkProblem),
});

export type StackCheck = z.infer<typeof stackCheck>;
export type CheckedService = z.infer<typeof checkedService>;
export type CheckProblem = z.infer<typeof checkProblem>;
