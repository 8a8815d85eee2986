import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { initScripts } from "../../../../src/runtimes/local/providers/init-scripts.js";
import type { Mount } from "../../../../src/stack/definition/types.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

describe("initScripts", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
  });
  afterEach(() => preparation.close());

  const FOLDER = "/docker-entrypoint-initdb.d";
  const bind = (source: string, target = FOLDER): Mount => ({ type: "bind", source, target, readOnly: true });
  const scripts = async (...mounts: Mount[]) => initScripts(await preparation.context(service("db", { mounts })));

  it("scripts of folders and single files run in the order of their names in the container", async () => {
    preparation.file("init/20-data.sql", "data");
    preparation.file("init/inner/ignored.sql", "");
    const schema = preparation.file("db/schema.sql", "schema");
    const found = await scripts(bind(join(preparation.folder, "init")), bind(schema, `${FOLDER}/10-schema.sql`));
    expect(found?.names).toEqual(["10-schema.sql", "20-data.sql"]);
    mkdirSync(join(preparation.stateDir, "work"));
    const places = (await found?.copy(join(preparation.stateDir, "work/scripts"))) ?? [];
    expect(places.map((path) => readFileSync(path, "utf8"))).toEqual(["schema", "data"]);
  });

  it("a service without scripts has none, also where their folder is missing or empty", async () => {
    expect(await scripts()).toBeUndefined();
    expect(await scripts(bind(join(preparation.folder, "absent")))).toBeUndefined();
    mkdirSync(join(preparation.folder, "empty"));
    expect(await scripts(bind(join(preparation.folder, "empty")))).toBeUndefined();
    expect(await scripts(bind(preparation.folder, "/other"))).toBeUndefined();
  });

  it("scripts outside of the project are refused, named by a path or reached by a link", async () => {
    await expect(scripts(bind("/srv/init"))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: 'The initialisation scripts of "db" are outside of the project\'s folder.',
      hint: "Move /srv/init into the project.",
    });
    symlinkSync("/etc", join(preparation.folder, "link"));
    await expect(scripts(bind(join(preparation.folder, "link")))).rejects.toThrow();
  });
});
