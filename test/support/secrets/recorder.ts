/** Records what a server and a Dagger engine send to each other. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DocumentNode, type FieldNode, type Kind, parse, print, visit } from "graphql";

const PROGRAM = fileURLToPath(new URL("recording-dagger.mjs", import.meta.url));

export interface RecordedRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

export interface Recorder {
  /** Folder for the beginning of PATH: `dagger`, `sh` and `runc` that record their calls. */
  readonly bin: string;
  readonly cli: string;
  requests(): RecordedRequest[];
  /** Bodies of responses; of a stream what has arrived so far. */
  answers(): { url: string; body: Buffer }[];
  /** Arguments and environment of the CLI. */
  calls(): { args: string[]; environment: Record<string, string> }[];
  /** Arguments of programs that ran for the engine's host, one text each. */
  words(program: "sh" | "runc"): string[];
  /** Standard error of the CLI. */
  stderr(): string;
  /** The open session, without the recorder. */
  session(): { port: number; token: string };
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * @param folder for the record and the programs
 * @param behind the recorded programs; without `sh` the engine's host cannot be reached
 */
export function startRecorder(folder: string, behind: { dagger: string; runc: string; sh: string | null }): Recorder {
  const record = join(folder, "record");
  const bin = join(folder, "bin");
  for (const path of [record, bin]) mkdirSync(path, { recursive: true });
  const program = (name: string, text: string): void =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  program("dagger", `exec ${[process.execPath, PROGRAM, behind.dagger, record].map(quoted).join(" ")} "$@"`);
  for (const name of ["sh", "runc"] as const) {
    const noted = `for word; do printf '%s\\n' "$word"; done > ${quoted(record)}/${name}-$$.words`;
    program(name, behind[name] === null ? `${noted}\nexit 1` : `${noted}\nexec ${quoted(behind[name] as string)} "$@"`);
  }
  const files = (end: string): string[] =>
    readdirSync(record)
      .filter((name) => name.endsWith(end))
      .sort()
      .map((name) => join(record, name));
  const read = (path: string): string => readFileSync(path, "utf8");
  return {
    bin,
    cli: join(bin, "dagger"),
    requests: () => files(".request").map((path) => JSON.parse(read(path)) as RecordedRequest),
    answers: () =>
      files(".response").map((path) => {
        const { url } = JSON.parse(read(path.replace(/response$/, "request"))) as RecordedRequest;
        return { url, body: readFileSync(path) };
      }),
    calls: () =>
      readdirSync(record)
        .filter((name) => /^cli-\d+\.json$/.test(name))
        .map((name) => JSON.parse(read(join(record, name)))),
    words: (name) => files(".words").flatMap((path) => (path.includes(`/${name}-`) ? [read(path)] : [])),
    stderr: () => files(".stderr").map(read).join("\n"),
    session: () => JSON.parse(read(join(record, "session.json"))) as { port: number; token: string },
  };
}

/** A GraphQL document without the one place where a secret belongs: `setSecret(plaintext:)`. */
export function withoutPlaintexts(body: string): { document: string; plaintexts: string[] } {
  const { query, ...rest } = JSON.parse(body) as { query: string };
  const plaintexts: string[] = [];
  const document = visit(parse(query) as DocumentNode, {
    Field: (field: FieldNode) => {
      if (field.name.value !== "setSecret") return undefined;
      return {
        ...field,
        arguments: field.arguments?.map((argument) => {
          if (argument.name.value !== "plaintext") return argument;
          if (argument.value.kind === ("StringValue" as Kind.STRING)) plaintexts.push(argument.value.value);
          return { ...argument, value: { kind: "StringValue" as Kind.STRING, value: "" } };
        }),
      };
    },
  }) as DocumentNode;
  return { document: `${print(document)}\n${JSON.stringify(rest)}`, plaintexts };
}
