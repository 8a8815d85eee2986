import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readNodeManifest } from "../../../../src/runtimes/shared/manifests/node.js";
import { InstallFixture } from "../../local/support/install-context.js";

describe("readNodeManifest", () => {
  let fixture: InstallFixture;
  beforeEach(() => {
    fixture = new InstallFixture();
  });
  afterEach(() => fixture.close());
  const read = (path = "package.json") => readNodeManifest(join(fixture.folder, path), fixture.folder);
  const refused = (code: string, message: string | RegExp, path?: string) =>
    expect(() => read(path)).toThrow(
      expect.objectContaining({
        code,
        message: typeof message === "string" ? message : expect.stringMatching(message),
        hint: expect.stringMatching(/./),
      }),
    );

  it("a package.json is read with its lock file and npm settings", () => {
    fixture.file("sub/package-lock.json", "{}");
    fixture.file("sub/.npmrc", "fund=false");
    fixture.file("sub/package.json", '{"devDependencies": {"a": "1"}, "scripts": {"postinstall": "x"}}');
    expect(read("sub/package.json")).toEqual({
      locked: true,
      empty: false,
      ownScripts: ["postinstall"],
      packages: ["a"],
      withoutScripts: '{"devDependencies":{"a":"1"},"scripts":{}}',
      files: [
        ["package.json", expect.any(String)],
        ["package-lock.json", "{}"],
        [".npmrc", "fund=false"],
      ],
    });
  });

  it.each(["{", "[]", "null", '"text"'])("a package.json with the content %s is refused", (text) => {
    fixture.file("package.json", text);
    refused("DEPENDENCY_INSTALL_FAILED", /^package\.json is not (?:valid JSON|a JSON object)\.$/);
  });

  it("a missing package.json is refused, and so is a link that leads outside of the project", () => {
    refused("DEPENDENCY_INSTALL_FAILED", "absent.json does not exist.", "absent.json");
    symlinkSync("/etc/shadow", join(fixture.folder, "package.json"));
    refused("DEPENDENCY_INSTALL_FAILED", "package.json leads outside the project's folder.");
  });

  it.each([".npmrc", "package-lock.json"])(
    "a package.json is refused when its %s leads outside or is a named pipe",
    (name) => {
      fixture.file("package.json", '{"dependencies": {"a": "1"}}');
      symlinkSync("/etc/shadow", join(fixture.folder, name));
      refused("DEPENDENCY_INSTALL_FAILED", `${name} leads outside the project's folder.`);
      execFileSync("rm", [join(fixture.folder, name)]);
      execFileSync("mkfifo", [join(fixture.folder, name)]);
      refused("DEPENDENCY_INSTALL_FAILED", `${name} is a named pipe; expected a regular file.`);
    },
  );

  it.each(["file:../shared", "link:./x", "workspace:*", "../shared", "./x.tgz"])(
    "the dependency %s on a folder of the project is refused",
    (spec) => {
      fixture.file("package.json", JSON.stringify({ dependencies: { shared: spec } }));
      refused("UNSUPPORTED", "package.json uses packages of the project's own folders: shared.");
    },
  );

  const workspace = (root: Record<string, unknown>) => {
    fixture.file("package.json", JSON.stringify(root));
    fixture.file("packages/secret/package.json", '{"name": "@acme/secret", "private": true}');
    fixture.file("node_modules/express/package.json", '{"name": "express"}');
    symlinkSync("..", join(fixture.folder, "packages/circle"));
  };

  it.each([
    ["npm", { workspaces: ["packages/*"] }],
    ["Yarn", { workspaces: { packages: ["packages/*"] } }],
    ["pnpm", {}],
  ])("a dependency on a private package of a %s workspace is refused", (kind, root) => {
    workspace(root);
    if (kind === "pnpm") fixture.file("pnpm-workspace.yaml", "packages: [packages/*]");
    fixture.file("packages/web/package.json", '{"name": "web", "dependencies": {"@acme/secret": "^1.0.0"}}');
    refused(
      "UNSUPPORTED",
      "packages/web/package.json uses packages of the project's own folders: @acme/secret.",
      "packages/web/package.json",
    );
  });

  it("a package of a workspace is read when its dependencies come from a registry", () => {
    workspace({ workspaces: ["packages/*"] });
    fixture.file("packages/web/package.json", '{"name": "web", "dependencies": {"express": "^5.0.0"}}');
    expect(read("packages/web/package.json").packages).toEqual(["express"]);
  });

  it("the root of workspaces is refused when it has dependencies", () => {
    workspace({ workspaces: ["packages/*"], dependencies: { express: "1" } });
    refused("UNSUPPORTED", "package.json is the root of npm workspaces (@acme/secret).");
    workspace2();
    refused("UNSUPPORTED", "package.json uses packages of the project's own folders: @acme/secret.");
  });
  const workspace2 = () =>
    fixture.file("package.json", '{"workspaces": ["packages/*"], "dependencies": {"@acme/secret": "1"}}');

  it("a dependency with the name of a project without workspaces is read", () => {
    fixture.file("package.json", '{"name": "lib"}');
    fixture.file("demo/package.json", '{"dependencies": {"lib": "^1.0.0"}}');
    expect(read("demo/package.json").packages).toEqual(["lib"]);
  });
});
