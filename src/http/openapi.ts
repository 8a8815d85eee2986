/** The OpenAPI 3.1 document of `/api/v1`, generated from the schemas of the operations. */
import * as z from "zod";
import { startStack } from "../operations/start-stack.js";
import { PROBLEM, RESPONSES } from "./openapi-problems.js";
import { type OperationRoute, ROUTES } from "./routes.js";

type Json = Record<string, unknown>;

/** Schemas that others refer to. The document has them in one place. */
class Schemas {
  readonly named: Record<string, Json> = { Problem: PROBLEM };

  of(schema: z.ZodType, io: "input" | "output"): ObjectSchema {
    const { $schema: _dialect, $defs, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
    const names = new Map<string, string>();
    for (const [name, definition] of Object.entries(($defs ?? {}) as Record<string, Json>))
      names.set(name, this.#nameFor(name, definition));
    for (const [name, definition] of Object.entries(($defs ?? {}) as Record<string, Json>))
      this.named[names.get(name) ?? name] = moved(definition, names) as Json;
    return moved(rest, names) as ObjectSchema;
  }

  /** Another schema may have the name already. */
  #nameFor(name: string, definition: Json): string {
    const text = JSON.stringify(definition);
    for (let n = 1; ; n += 1) {
      const free = n === 1 ? name : `${name}_${n}`;
      this.#texts[free] ??= text;
      if (this.#texts[free] === text) return free;
    }
  }

  readonly #texts: Record<string, string> = Object.create(null);
}

/** Moves every reference to the place of the definitions. */
function moved(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => moved(item, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const name = key === "$ref" ? /^#\/\$defs\/(.+)$/.exec(String(member))?.[1] : undefined;
      return [key, name === undefined ? moved(member, names) : `#/components/schemas/${names.get(name) ?? name}`];
    }),
  );
}

interface ObjectSchema extends Json {
  properties?: Record<string, Json>;
  required?: string[];
}

/** Adds members to an object schema. */
const extended = (schema: ObjectSchema, properties: Record<string, Json>): ObjectSchema => ({
  ...schema,
  properties: { ...properties, ...schema.properties },
  required: [...Object.keys(properties), ...(schema.required ?? [])],
});

const json = (schema: Json): Json => ({ "application/json": { schema } });

/** Parameters of the path, then of the query. */
function parametersOf(
  { method, path, operation }: OperationRoute,
  { properties = {}, required = [] }: ObjectSchema,
): Json[] {
  const inPath = namesIn(path).map((name) => ({
    name,
    in: "path",
    required: true,
    schema: properties[name === "id" ? "project" : name] ?? { type: "string" },
  }));
  if (method !== "get") return inPath;
  const own = operation.name === "get_logs" ? LOG_PARAMETERS.map(({ name }) => name) : [];
  const query = fieldsOf({ path, properties })
    .filter(([name]) => !own.includes(name))
    .map(([name, schema]) => ({
      name,
      in: "query",
      required: required.includes(name),
      schema: withPattern(name, schema),
    }));
  return [...inPath, ...query, ...(operation.name === "get_logs" ? LOG_PARAMETERS : [])];
}

/** A moment in the format of the operations. */
const MOMENT =
  "^(?:\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(?::\\d{2}(?:\\.\\d+)?)?(?:Z|[+-]\\d{2}:?\\d{2})|(?:\\d+(?:\\.\\d+)?\\s*[A-Za-z]+\\s*)+)$";
const withPattern = (name: string, schema: Json): Json =>
  ["since", "until"].includes(name) ? { ...schema, pattern: MOMENT } : schema;

const namesIn = (path: string): string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);

/** Fields that are not part of the path. */
function fieldsOf({ path, properties }: { path: string; properties: Record<string, Json> }): [string, Json][] {
  const inPath = namesIn(path).flatMap((name) => ({ id: ["project"], service: ["service", "services"] })[name] ?? []);
  return Object.entries(properties).filter(([name]) => !inPath.includes(name));
}

function bodyOf({ method, path, operation }: OperationRoute, { properties = {}, required = [] }: ObjectSchema): Json {
  if (method === "get") return {};
  const fields = Object.fromEntries(fieldsOf({ path, properties }));
  const needed = required.filter((name) => Object.hasOwn(fields, name));
  const schema = {
    type: "object",
    properties: fields,
    ...(needed.length === 0 ? {} : { required: needed }),
    additionalProperties: false,
    // At least one of them, as the operation requires.
    ...(operation.name === "set_limits"
      ? { anyOf: ["cpus", "memory_mb", "pids"].map((name) => ({ required: [name] })) }
      : {}),
  };
  return { requestBody: { required: needed.length > 0 || operation.name === "set_limits", content: json(schema) } };
}

function contentOf({ operation, path }: OperationRoute, schemas: Schemas): Json {
  const output = schemas.of(operation.output, "output");
  if (operation.name === "get_logs") return logContent(output, namesIn(path).includes("service"));
  if (operation.annotations.readOnly) return json(output);
  return json(extended(output, { success: { type: "boolean" }, project_id: { type: "string" } }));
}

function describe(route: OperationRoute, schemas: Schemas): Json {
  const input = schemas.of(route.operation.input, "input");
  return {
    summary: route.summary,
    operationId: route.operationId ?? route.operation.name,
    parameters: parametersOf(route, input),
    ...bodyOf(route, input),
    responses: { "200": { description: route.operation.title, content: contentOf(route, schemas) }, ...RESPONSES },
  };
}

const LOG_PARAMETERS: Json[] = [
  {
    name: "format",
    in: "query",
    description: "`text`: one text of all lines. `json`: the lines with time, stream and number.",
    schema: { type: "string", enum: ["text", "json"], default: "text" },
  },
  {
    name: "follow",
    in: "query",
    description: "Stream new lines as server-sent events.",
    schema: { type: "boolean", default: false },
  },
  {
    name: "Last-Event-ID",
    in: "header",
    description: "With `follow`: resume after this event.",
    schema: { type: "string" },
  },
];

/** @param one true for the log of one service */
function logContent(output: ObjectSchema, one: boolean): Json {
  const service: Record<string, Json> = one ? { service: { type: "string" } } : {};
  const { next_cursor, omitted } = output.properties ?? {};
  const text = {
    type: "object",
    properties: {
      project_id: { type: "string" },
      ...service,
      logs: { type: "string", description: "Lines, separated by newlines." },
      lines: { type: "integer", description: "Number of lines in `logs`." },
      next_cursor,
      omitted,
    },
    required: ["project_id", ...Object.keys(service), "logs", "lines", "next_cursor", "omitted"],
    additionalProperties: false,
  };
  const lines = extended(output, { project_id: { type: "string" }, ...service });
  return {
    ...json({ oneOf: [text, lines] }),
    "text/event-stream": {
      schema: {
        type: "string",
        description:
          "`line`: a line as with `format=json`. `cursor`: its id stands for all lines so far. `error`: a problem.",
      },
    },
  };
}

export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  const schemas = new Schemas();
  for (const route of ROUTES) paths[route.path] = { ...paths[route.path], [route.method]: describe(route, schemas) };
  const report = schemas.of((startStack.output as z.ZodObject).shape.after as z.ZodType, "output");
  const id = { name: "id", in: "path", required: true, schema: { type: "string" } };
  const one = (summary: string, operationId: string): Json => ({
    get: {
      summary,
      operationId,
      parameters: [id],
      responses: { "200": { description: summary, content: json(report) }, ...RESPONSES },
    },
  });
  paths["/access"] = { get: ACCESS };
  paths["/projects/{id}"] = one("One project's stack.", "get_project");
  paths["/projects/{id}/status"] = one("State of one project's stack.", "get_status");
  paths["/projects/{id}/restart"] = { post: { ...describe(RESTART, schemas), operationId: "restart_stack" } };
  return {
    openapi: "3.1.0",
    info: { title: "stackwarden", version, description: "Starts and operates development stacks." },
    servers: [{ url: "/api/v1" }],
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: schemas.named,
    },
  };
}

const ACCESS: Json = {
  summary: "The token's name, and what it may do.",
  operationId: "get_access",
  responses: {
    "200": {
      description: "The token.",
      content: json({
        type: "object",
        required: ["name", "scope", "commands", "version"],
        properties: {
          name: { type: "string" },
          scope: { enum: ["read", "operate"] },
          commands: { enum: ["any", "declared", "off"], description: "The commands that the operator permits." },
          version: { type: "string" },
        },
      }),
    },
    ...RESPONSES,
  },
};

const RESTART: OperationRoute = {
  method: "post",
  path: "/projects/{id}/restart",
  summary: "Stop the stack and start it again.",
  operation: startStack,
};
