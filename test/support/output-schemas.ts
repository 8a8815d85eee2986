/**
 * The validation of the SDK's client for clients in the process of a test: the same schema is compiled once per process.
 * A client compiles the output schema of every tool at each `listTools`, which takes longer than most tests.
 */
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import type {
  JsonSchemaType,
  JsonSchemaValidator,
  jsonSchemaValidator,
} from "@modelcontextprotocol/sdk/validation/types.js";

const compiler = new AjvJsonSchemaValidator();
const compiled = new Map<string, JsonSchemaValidator<unknown>>();

const validator: jsonSchemaValidator = {
  getValidator<T>(schema: JsonSchemaType): JsonSchemaValidator<T> {
    const key = JSON.stringify(schema);
    const validate = compiled.get(key) ?? compiler.getValidator<unknown>(schema);
    compiled.set(key, validate);
    return validate as JsonSchemaValidator<T>;
  },
};

/** Part of the options of a `Client`. */
export const COMPILE_ONCE = { jsonSchemaValidator: validator };
