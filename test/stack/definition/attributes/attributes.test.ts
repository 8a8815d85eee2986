/**
 * The attribute table has a row for every attribute of the official schema, every row is used, and docs/COMPOSE.md
 * shows it.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ATTRIBUTES } from "../../../../src/stack/definition/attributes/attributes.js";

interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  $defs?: Record<string, Schema>;
}

const schema = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "..", "..", "reference", "compose-spec.json"), "utf8"),
) as Schema;

/** Paths of all attributes, without names that users choose. */
function schemaPaths(): string[] {
  const paths = new Set<string>();
  const walk = (node: Schema, path: string, through: readonly string[]): void => {
    const reference = node.$ref?.split("/").at(-1);
    if (reference !== undefined && !through.includes(reference))
      walk(schema.$defs?.[reference] as Schema, path, [...through, reference]);
    for (const one of [...(node.oneOf ?? []), ...(node.anyOf ?? []), ...(node.allOf ?? [])]) walk(one, path, through);
    for (const [key, value] of Object.entries(node.properties ?? {})) {
      const below = path === "" ? key : `${path}.${key}`;
      paths.add(below);
      walk(value, below, through);
    }
    for (const [pattern, value] of Object.entries(node.patternProperties ?? {}))
      if (!pattern.startsWith("^x-")) walk(value, path, through);
    if (typeof node.additionalProperties === "object") walk(node.additionalProperties, path, through);
    if (node.items !== undefined) walk(node.items, path, through);
  };
  walk(schema, "", []);
  return [...paths];
}

const SECTIONS = ["services", "networks", "volumes", "secrets", "configs"];

describe("ATTRIBUTES", () => {
  const paths = schemaPaths();

  it("every attribute of the official schema has a row", () => {
    expect(paths.length).toBeGreaterThan(300);
    const hasRow = (path: string): boolean =>
      Object.keys(ATTRIBUTES).some((row) => path === row || path.startsWith(`${row}.`));
    const missing = paths.filter((path) => !SECTIONS.includes(path) && !hasRow(path));
    // A group needs no row when all of its members have one.
    expect(missing.filter((path) => !Object.keys(ATTRIBUTES).some((row) => row.startsWith(`${path}.`)))).toEqual([]);
  });

  it("every row is an attribute of the official schema", () => {
    expect(Object.keys(ATTRIBUTES).filter((row) => !paths.includes(row))).toEqual([]);
  });

  it('every effect other than "works" is explained in a whole sentence', () => {
    for (const [path, { effects }] of Object.entries(ATTRIBUTES))
      for (const effect of Object.values(effects))
        if (effect !== "works") expect(Object.values(effect)[0], path).toMatch(/^[A-Z`].{10,}\.$/);
  });

  const sourcesOf = (folder: string): string =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(join(folder, file), "utf8"))
      .join("\n");
  const src = join(import.meta.dirname, "..", "..", "..", "..", "src");
  const common = ["runtimes/shared", "stack/lifecycle"].map((folder) => sourcesOf(join(src, folder))).join("\n");

  it.each(readdirSync(join(src, "runtimes")).filter((name) => name !== "shared"))(
    "the sources of the %s runtime use the field of each attribute that works there",
    (runtime) => {
      const text = `${sourcesOf(join(src, "runtimes", runtime))}\n${common}`;
      const unused = Object.entries(ATTRIBUTES)
        .filter(([, { effects, field }]) => effects[runtime as "local"] === "works" && field !== undefined)
        .filter(([, { field }]) => !new RegExp(`\\b${field}\\b`).test(text));
      expect(unused.map(([path]) => path)).toEqual([]);
    },
  );

  it("docs/COMPOSE.md is what scripts/generate-compose-doc.mjs writes", async () => {
    const check = promisify(execFile)(process.execPath, ["scripts/generate-compose-doc.mjs", "--check"]);
    await expect(check).resolves.toMatchObject({ stderr: "" });
  });
});
