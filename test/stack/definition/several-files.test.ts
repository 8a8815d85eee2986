/** `extends`, `include`, merge keys, and files that are no compose files. */
import { describe, expect, it } from "vitest";
import { load, problem } from "./project.js";

describe("extends", () => {
  it("a service has the attributes of the one that it extends, from the same file or another one", async () => {
    const base = "base: { image: example/app, environment: { A: '1', B: '1' } }";
    const same = await load({
      "compose.yaml": `services:\n  app: { extends: base, environment: { B: '2' } }\n  ${base}\n`,
    });
    expect(same.services.app).toMatchObject({ image: "example/app", environment: { A: "1", B: "2" } });
    const other = await load({
      "compose.yaml": "services:\n  app: { extends: { service: base, file: base.yaml } }\n",
      "base.yaml": `services:\n  ${base}\n`,
    });
    expect(Object.keys(other.services)).toEqual(["app"]);
    expect(other.services.app).toMatchObject({ image: "example/app", environment: { A: "1", B: "1" } });
  });

  it.each([
    ["app", "INVALID_STACK", expect.stringMatching(/^extends itself: app → app$/)],
    [
      "{ service: loop, file: base.yaml }",
      "INVALID_STACK",
      expect.stringMatching(/^extends itself: app in .* → loop in .* → app in /),
    ],
    [
      "{ service: nope, file: base.yaml }",
      "INVALID_STACK",
      expect.stringMatching(/^extends nope, which .*base\.yaml does not define$/),
    ],
    ["{ file: base.yaml }", "INVALID_STACK", "names no service"],
    [
      "{ service: a, file: none.yaml }",
      "INVALID_STACK",
      expect.stringMatching(/^the compose file .*none\.yaml does not exist$/),
    ],
    [
      "{ service: a, file: ../a.yaml }",
      "POLICY_VIOLATION",
      expect.stringMatching(/leads outside the project's folder$/),
    ],
  ])("extends: %s is refused with %s", async (value, code, message) => {
    const files = {
      "compose.yaml": `services:\n  app: { extends: ${value} }\n`,
      "base.yaml": "services:\n  loop: { extends: { service: app, file: compose.yaml } }\n",
    };
    expect(await problem(load(files))).toMatchObject({ code, message, line: 2 });
  });
});

describe("include", () => {
  it("the services of an included file are part of the project and have the values of the env file that include names", async () => {
    const { services } = await load({
      "compose.yaml":
        "include: [{ path: other.yaml, env_file: other.env }]\nservices:\n  app: { image: example/app }\n",
      "other.yaml": "services:\n  other: { image: 'example/${NAME}' }\n",
      "other.env": "NAME=other\n",
    });
    expect(Object.values(services).map(({ image }) => image)).toEqual(["example/other", "example/app"]);
  });

  it.each([
    ["[compose.yaml]", "include[0]", expect.stringMatching(/^includes itself: .*compose\.yaml → .*compose\.yaml$/)],
    ["[none.yaml]", "include[0]", expect.stringMatching(/^the compose file .*none\.yaml does not exist$/)],
    ["[{ env_file: a.env }]", "include[0]", "names no file"],
    ["5", "include", "must be a list"],
  ])("include: %s is refused", async (value, path, message) => {
    const text = `include: ${value}\nservices:\n  app: { image: example/app }\n`;
    expect(await problem(load({ "compose.yaml": text }))).toMatchObject({
      code: "INVALID_STACK",
      path,
      message,
      line: 1,
    });
  });
});

describe("the text of a compose file", () => {
  it("a merge key takes the values of several mappings", async () => {
    const text =
      "x-a: &a { image: example/app, user: '1' }\nservices:\n  app: { <<: [{ user: '1000' }, *a], tty: true }\n";
    expect((await load({ "compose.yaml": text })).services.app).toMatchObject({ image: "example/app", user: "1000" });
  });

  it.each([
    ["5", "", "must be a mapping"],
    ["services: 5", "services", "must be a mapping"],
    ["services: { app: 5 }", "services.app", "must be a mapping"],
    ["services: { 'a b': { image: x } }", 'services."a b"', '"a b" is not a service name'],
    ["nope: 1", "nope", "is not a key that Compose has here"],
    ["services: { app: { image: x, image: y } }", "", 'the key "image" appears twice in the same mapping'],
    ["services: { app: *nope }", "services.app", "*nope refers to an anchor that is not defined above it"],
    ["services: { app: { <<: 5 } }", "services.app", "has a merge key `<<` whose value is not a mapping"],
    ["services: { [a]: { image: x } }", "services", "has a key that is not text"],
    [
      "services: { app: { image: !!binary aGk= } }",
      "services.app.image",
      "has a value that YAML knows and Compose does not",
    ],
  ])("%s is refused", async (text, path, message) => {
    expect(await problem(load({ "compose.yaml": `${text}\n` }))).toMatchObject({
      code: "INVALID_STACK",
      path,
      message,
      line: 1,
    });
  });
});
