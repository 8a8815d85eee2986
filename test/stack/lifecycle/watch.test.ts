/** `develop.watch`: services follow their files. */
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

let domain: Domain;
let manager: SharedStackManager;
let folder: string;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const write = (path: string, text: string): void => {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const asked = Date.now();
  do writeFileSync(file, text);
  while (statSync(file).mtimeMs < asked);
};
const watching = (action: string, more = ""): string =>
  service("app", `develop: { watch: [{ path: ./src, action: ${action}${more} }] }`).replace(
    "{ command: [run] }",
    "{ command: [run], working_dir: src }",
  );

async function up(text: string, watch: boolean | undefined, runtime = domain.runtime) {
  folder = domain.project("shop", text);
  write("src/main.py", "one");
  manager = domain.manager({ runtime: runtime.name }, [runtime]);
  return manager.start({ project: "shop", ...(watch === undefined ? {} : { watch }) }, call());
}
const generation = async (name = "app") => (await manager.report("shop")).services[name]?.generation;
const replaced = (to: number) => until(`generation ${to}`, async () => (await generation()) === to);
const restarts = async () =>
  (await eventsOf(manager, "shop", "service_restarting")).map(({ message, actor }) => ({ message, actor }));

describe("develop.watch", () => {
  it.each(["restart", "rebuild", "sync+restart"])(
    "the action %s replaces the service once for a burst of changes",
    async (action) => {
      const { after } = await up(compose(watching(action), service("web")), true);
      expect(after.watching).toEqual(["app"]);
      for (let file = 0; file < 20; file += 1) write(`src/deep/${file}.py`, "two");
      await replaced(2);
      expect(await restarts()).toEqual([
        {
          message: expect.stringMatching(/^app is being restarted: src\/deep\/\d+\.py and \d+ other files changed\.$/),
          actor: "stackwarden watch",
        },
      ]);
      expect(await generation("web")).toBe(1);
      // The removal of a file is a change as well.
      rmSync(join(folder, "src/main.py"));
      await replaced(3);
    },
  );

  it("sync leaves a service in the project's folder alone, and copies files or replaces it elsewhere", async () => {
    await up(compose(watching("sync"), watching("restart").replace("  app:", "  other:")), true);
    write("src/main.py", "two");
    await until("the other service was replaced", async () => (await generation("other")) === 2);
    expect(await generation()).toBe(1);
    await manager.stop({ project: "shop" }, call());
    const dagger = new FakeRuntime("dagger");
    await up(compose(watching("sync")), true, dagger);
    const before = (await generation()) ?? 0;
    write("src/main.py", "three");
    await replaced(before + 1);
    await manager.stop({ project: "shop" }, call());
    // The binds are copies, and changed files are copied into them.
    dagger.copiedFiles = [];
    await up(compose(`${watching("sync", ", target: /app")}    volumes: ["./src:/app"]\n`), true, dagger);
    const present = await generation();
    write("src/main.py", "four");
    await until("the file is copied", () => (dagger.copiedFiles ?? []).length > 0);
    expect(dagger.copiedFiles).toMatchObject([{ target: "/app/main.py" }]);
    // An event does not name a file that is not copied, and the service remains stale.
    dagger.privateTargets = ["/app/secrets"];
    write("src/secrets", "hush");
    const messages = async (type: "files_copied" | "warning") =>
      (await eventsOf(manager, "shop", type)).map(({ message }) => message);
    const warning = "Not copied into app, because the engine would keep the secrets in it: src/secrets.";
    await until("the warning", async () => (await messages("warning")).includes(warning));
    expect((await messages("files_copied")).at(-1)).toBe("Copied into app: src/main.py.");
    expect((await manager.report("shop")).services.app?.stale?.files).toEqual(["src/secrets"]);
    expect(await generation()).toBe(present);
  });

  it("sync copies files into an instance of a built image, and replaces it when the copy fails", async () => {
    const docker = new FakeRuntime("docker");
    docker.copiedFiles = [];
    const copies = () => docker.copiedFiles ?? [];
    const sync = "{ path: ./src, action: sync, target: /app/src, ignore: [tmp/] }";
    const rules = `develop: { watch: [${sync}, { path: ./Dockerfile, action: rebuild }] }`;
    const text = compose(service("app", `build: .\n${rules}`)).replace("    image: example/app\n", "");
    await up(text, true, docker);
    const messages = async (type: "files_copied" | "warning") =>
      (await eventsOf(manager, "shop", type)).map(({ message }) => message);
    write("src/deep/er.py", "two");
    write("src/tmp/left-out.py", "two");
    await until("the file is copied", () => copies().length > 0);
    expect(copies()).toEqual([
      expect.objectContaining({ target: "/app/src/deep/er.py", source: { path: "src/deep/er.py", within: folder } }),
    ]);
    await until("its event", async () => (await messages("files_copied")).length > 0);
    expect(await messages("files_copied")).toEqual(["Copied into app: src/deep/er.py."]);
    expect((await manager.report("shop")).services.app?.stale?.files).toEqual(["src/tmp/left-out.py"]);
    rmSync(join(folder, "src/main.py"));
    await until("the file is removed", () => copies().at(-1)?.source === null);
    expect(copies().at(-1)?.target).toBe("/app/src/main.py");
    expect(await generation()).toBe(1);

    docker.copyErrors.push(new Error("read-only"));
    write("src/deep/er.py", "three");
    await replaced(2);
    expect(await messages("warning")).toEqual([
      "Changed files could not be copied into app, which is replaced: read-only",
    ]);
    // Changes of two rules replace the service once.
    write("Dockerfile", "FROM scratch");
    write("src/deep/er.py", "four");
    await replaced(3);
  });

  it("files of ignore and .gitignore, and files outside include, are not watched", async () => {
    await up(compose(watching("restart", ", ignore: [tmp/], include: ['**/*.py']")), true);
    write(".gitignore", "generated.py\n");
    for (const path of ["src/tmp/a.py", "src/readme.md", "src/generated.py", "src/node_modules/x.py"]) write(path, "x");
    write("src/main.py", "two");
    await replaced(2);
    expect((await restarts())[0]?.message).toBe("app is being restarted: src/main.py changed.");
  });

  it("watching continues after a change that fails to start, without using up the restart budget", async () => {
    await up(compose(watching("restart")), true);
    domain.runtime.scripts = {
      app: { ends: Array.from({ length: 4 }, () => ({ afterMs: 1, exitCode: 1 })), probe: () => "no" },
    };
    for (let turn = 2; turn < 6; turn += 1) {
      write("src/main.py", `broken ${turn}`);
      await replaced(turn);
    }
    domain.runtime.scripts = {};
    write("src/main.py", "right");
    await until("it is healthy", async () => (await manager.report("shop")).services.app?.state === "healthy");
  });

  it("watching ends with the stack and with watch: false", async () => {
    await up(compose(watching("restart")), true);
    const ended = await manager.start({ project: "shop", watch: false }, call());
    expect(ended.after).not.toHaveProperty("watching");
    expect(ended.message).toContain("File changes are no longer applied (watch).");
    const begun = await manager.start({ project: "shop", watch: true }, call());
    expect(begun).toMatchObject({
      status: "already_running",
      message: expect.stringContaining("File changes are applied from now on (watch): app."),
    });
    expect((await manager.start({ project: "shop", watch: true }, call())).message).not.toContain("(watch)");
    await manager.stop({ project: "shop" }, call());
    expect((await manager.start({ project: "shop" }, call())).after).not.toHaveProperty("watching");
  });
});

it("only a start with watch: true watches, and a stack without rules has a note", async () => {
  expect((await up(compose(watching("restart")), undefined)).after).not.toHaveProperty("watching");
  await manager.stop({ project: "shop" }, call());
  const { after } = await up(compose(service("app")), true);
  expect(after.notes).toContain("Nothing is watched: no service has develop.watch.");
});

describe("develop.watch: rules", () => {
  it.each([
    ["{ path: ./src, action: explode }", "INVALID_STACK"],
    ["{ action: sync }", "INVALID_STACK"],
    ["{ path: ./src }", "INVALID_STACK"],
    ["7", "INVALID_STACK"],
    ["{ path: ./src, action: sync, target: app }", "INVALID_STACK"],
  ])("the rule %s is refused", async (rule, code) => {
    await expect(up(compose(service("app", `develop: { watch: [${rule}] }`)), true)).rejects.toMatchObject({ code });
  });

  it("a rule that leads outside the project watches nothing and has a note", async () => {
    const { after } = await up(compose(service("app", "develop: { watch: [{ path: ../.., action: restart }] }")), true);
    expect(after.notes.join()).toContain(
      "develop.watch of app does not watch ../..: it leads outside the project's folder.",
    );
    expect(after).not.toHaveProperty("watching");
  });
});
