/** The OpenAPI 3.1 document of `/api/v1`, made from the operations' own schemas. */
import * as z from "zod";
import { startStack } from "../operations/index.js";
import { type RestRoute, ROUTES } from "./routes.js";

type Json = Record<string, unknown>;

const schemaOf = (schema: z.ZodType, io: "input" | "output"): Json => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  return rest;
};

const problem: Json = {
  description: "A failure (RFC 9457).",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

const errors = { "400": problem, "401": problem, "403": problem, "404": problem, "409": problem, "503": problem };

function describe({ method, path, summary, operation, operationId = operation.name }: RestRoute): Json {
  const { properties = {}, required = [] } = schemaOf(operation.input, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const fields = Object.entries(properties).filter(([name]) => name !== "project" && !inPath.includes(name));
  const parameters: Json[] = inPath.map((name) => ({
    name,
    in: "path",
    required: true,
    schema: properties[name === "id" ? "project" : name] ?? { type: "string" },
  }));
  if (method === "get")
    for (const [name, schema] of fields)
      parameters.push({ name, in: "query", required: required.includes(name), schema });
  const body: Json =
    method === "get"
      ? {}
      : {
          requestBody: {
            content: {
              "application/json": {
                schema: { type: "object", properties: Object.fromEntries(fields), additionalProperties: false },
              },
            },
          },
        };
  return {
    summary,
    operationId,
    parameters,
    ...body,
    responses: {
      "200": {
        description: operation.title,
        content: { "application/json": { schema: schemaOf(operation.output, "output") } },
      },
      ...errors,
    },
  };
}

const id = { name: "id", in: "path", required: true, schema: { type: "string" } };

export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) paths[route.path] = { ...paths[route.path], [route.method]: describe(route) };
  const report = schemaOf((startStack.output as z.ZodObject).shape.after as z.ZodType, "output");
  const one = (summary: string, operationId: string): Json => ({
    get: {
      summary,
      operationId,
      parameters: [id],
      responses: { "200": { description: summary, content: { "application/json": { schema: report } } }, ...errors },
    },
  });
  paths["/access"] = {
    get: {
      summary: "The token's name, and what it may do.",
      operationId: "get_access",
      parameters: [],
      responses: {
        "200": {
          description: "The token.",
          content: {
            "application/json": {
              schema: {
                type: "object",
                required: ["name", "scope", "version"],
                properties: {
                  name: { type: "string" },
                  scope: { enum: ["read", "operate"] },
                  version: { type: "string" },
                },
              },
            },
          },
        },
        "401": problem,
      },
    },
  };
  paths["/projects/{id}"] = one("One project's stack.", "get_project");
  paths["/projects/{id}/status"] = one("State of one project's stack.", "get_status");
  paths["/projects/{id}/restart"] = {
    post: { ...describe({ ...restartRoute, path: "/projects/{id}/restart" }), operationId: "restart_stack" },
  };
  return {
    openapi: "3.1.0",
    info: { title: "stackwarden", version, description: "Starts and operates development stacks." },
    servers: [{ url: "/api/v1" }],
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: {
        Problem: {
          type: "object",
          required: ["type", "title", "status", "detail", "code", "hint", "retryable"],
          properties: {
            type: { type: "string" },
            title: { type: "string" },
            status: { type: "integer" },
            detail: { type: "string" },
            code: { type: "string" },
            hint: { type: "string" },
            retryable: { type: "boolean" },
            details: { type: "object" },
          },
        },
      },
    },
  };
}

const restartRoute: RestRoute = {
  method: "post",
  path: "",
  summary: "Stop the stack and start it again.",
  operation: startStack,
};
