/** The OpenAPI document is valid, complete, and describes the actual responses. */
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ERROR_KINDS } from "../../src/errors.js";
import { type HttpFixture, httpFixture } from "../support/http-fixture.js";

// biome-ignore lint/suspicious/noExplicitAny: a document is looked at field by field.
let document: any;
let http: HttpFixture;
/** One for all routes: a new one compiles the meta-schema of JSON Schema again. */
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
beforeAll(async () => {
  http = await httpFixture();
  document = (await http.send("/api/v1/openapi.json")).json;
});
afterAll(() => http.close());

it("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  expect(validator.version).toBe("3.1");
  // The validator detects errors.
  const broken = structuredClone(document);
  delete broken.info.title;
  broken.paths["/projects/{id}"].get.parameters[0].in = "nowhere";
  expect((await validator.validate(broken)).valid).toBe(false);
  expect(JSON.stringify(document)).not.toContain('"$ref":"#/$defs');
});

it("the document has every route of docs/REST_API.md and every status of an error", () => {
  expect(document).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" }, security: [{ bearer: [] }] });
  const operations = Object.entries(document.paths as Record<string, Record<string, never>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        at: `${method.toUpperCase()} /api/v1${path}`,
        operation,
      })),
  );
  const table = [
    ...readFileSync("docs/REST_API.md", "utf8").matchAll(/^\| `(GET|POST|PUT) (\/api\/v1\/\S+?)` \|/gm),
  ].map(([, method, path]) => `${method} ${path}`);
  expect(operations.map(({ at }) => at).sort()).toEqual(table.filter((row) => !row.endsWith("openapi.json")).sort());
  const statuses = [...new Set(Object.values(ERROR_KINDS).map(({ status }) => String(status)))].sort();
  for (const { operation } of operations)
    expect(Object.keys((operation as { responses: object }).responses).sort()).toEqual(["200", ...statuses]);
  const limits = document.paths["/projects/{id}/services/{service}/limits"].put;
  expect(limits.parameters.map(({ name }: { name: string }) => name)).toEqual(["id", "service"]);
  expect(Object.keys(limits.requestBody.content["application/json"].schema.properties)).toContain("memory_mb");
  const logs = document.paths["/projects/{id}/logs/{service}"].get;
  const names = logs.parameters.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(["id", "service", "tail", "format", "follow", "Last-Event-ID"]));
  expect(names).not.toContain("services");
  expect(logs.parameters.find(({ name }: { name: string }) => name === "tail").schema).toMatchObject({
    maximum: 10_000,
  });
});

it.each([
  ["GET", "/projects", "/projects"],
  ["GET", "/projects/{id}", "/projects/shop"],
  ["GET", "/projects/{id}/status", "/projects/shop/status"],
  ["POST", "/projects/{id}/check", "/projects/shop/check"],
  ["POST", "/projects/{id}/start", "/projects/shop/start"],
  ["POST", "/projects/{id}/stop", "/projects/shop/stop"],
  ["POST", "/projects/{id}/restart", "/projects/shop/restart"],
  ["GET", "/projects/{id}/health", "/projects/shop/health"],
  ["GET", "/projects/{id}/logs/{service}", "/projects/shop/logs/backend"],
  ["GET", "/projects/{id}/logs/{service}", "/projects/shop/logs/backend?format=json"],
  ["GET", "/projects/{id}/logs", "/projects/shop/logs?services=backend&services=postgres"],
  ["GET", "/projects/{id}/logs", "/projects/shop/logs?format=json"],
  ["GET", "/access", "/access"],
  ["POST", "/projects/{id}/services/{service}/restart", "/projects/shop/services/backend/restart"],
  ["PUT", "/projects/{id}/services/{service}/limits", "/projects/shop/services/backend/limits"],
  ["GET", "/projects/{id}/stats", "/projects/shop/stats"],
  ["GET", "/projects/{id}/events", "/projects/shop/events"],
])("%s %s answers as its schema says (%s)", async (method, path, url) => {
  const { responses } = document.paths[path][method.toLowerCase()];
  const answer = await http.send(`/api/v1${url}`, {
    method,
    ...(method === "GET" ? {} : { body: method === "PUT" ? { cpus: 0.5 } : {} }),
  });
  expect(answer.status).toBe(200);
  const fits = ajv.compile({ ...responses["200"].content["application/json"].schema, components: document.components });
  fits(answer.json);
  expect(fits.errors ?? []).toEqual([]);
  if (!path.includes("{id}")) return;
  const failed = await http.send(`/api/v1${url.replace("shop", "no_such")}${url.includes("?") ? "&" : "?"}nope=1`, {
    method,
    ...(method === "GET" ? {} : { body: { nope: 1 } }),
  });
  expect(failed.status).toBeGreaterThanOrEqual(400);
  expect(Object.keys(responses)).toContain(String(failed.status));
  const problem = ajv.compile(document.components.schemas.Problem);
  problem(failed.json);
  expect(problem.errors ?? []).toEqual([]);
});
