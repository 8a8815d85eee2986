import { describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import { type CommandPlace, commandSpec } from "../../../../src/runtimes/local/commands/place.js";
import { service } from "../support/fixture.js";

const user = { uid: 70_000, gid: 70_000, name: "web", enforcement: { level: "none", reason: "" } } as const;
const place = (plan: Partial<CommandPlace["plan"]> = {}, workingDir?: string): CommandPlace => ({
  service: service("web", workingDir === undefined ? {} : { workingDir }),
  user,
  plan: { cwd: "/p", env: { PATH: "/usr/bin:/bin", A: "1" }, resolve: async (argv) => argv, ...plan },
});

describe("commandSpec", () => {
  it("a command has the service's environment, then that of its commands, then that of the call", async () => {
    const one = place({ commandEnv: { A: "2", B: "2" }, programs: ["/x"], mounts: [], files: { "/f": "/etc/f" } });
    expect(await commandSpec(one, { command: ["/bin/true"], environment: { B: "3" } })).toEqual({
      argv: ["/bin/true"],
      cwd: "/p",
      env: { PATH: "/usr/bin:/bin", A: "2", B: "3" },
      user,
      programs: ["/x"],
      mounts: [],
      files: { "/f": "/etc/f" },
    });
    expect(await commandSpec(place(), { command: ["/bin/true"] })).toMatchObject({
      programs: [],
      mounts: [],
      files: {},
    });
  });

  it("a program is resolved by the service, else looked up on the command's PATH", async () => {
    const resolve = async ([name = "", ...rest]: string[]) => [name === "own" ? "/own/bin/own" : name, ...rest];
    expect((await commandSpec(place({ resolve }), { command: ["own", "x"] })).argv).toEqual(["/own/bin/own", "x"]);
    const { argv } = await commandSpec(place({ resolve }), { command: ["sh", "-c", "x"] });
    expect(argv).toEqual([expect.stringMatching(/^\/(usr\/)?bin\/sh$/), "-c", "x"]);
  });

  it("a program that does not exist is refused with what to do", async () => {
    const refused = {
      code: "COMMAND_NOT_FOUND",
      message: 'The program "nope" was not found in web.',
      hint: expect.stringContaining("Give the program's path"),
      details: { service: "web", program: "nope" },
    };
    await expect(commandSpec(place(), { command: ["nope"] })).rejects.toMatchObject(refused);
    const environment = { PATH: "" };
    await expect(commandSpec(place(), { command: ["nope"], environment })).rejects.toMatchObject(refused);
    const failing = (error: Error) => place({ resolve: () => Promise.reject(error) });
    const missing = new StackwardenError("SERVICE_START_FAILED", "x", { hint: "y" });
    await expect(commandSpec(failing(missing), { command: ["nope"] })).rejects.toMatchObject(refused);
    await expect(commandSpec(failing(new Error("broken")), { command: ["nope"] })).rejects.toThrow("broken");
  });

  it("a folder of the container is the same folder of this machine, and others stay", async () => {
    const cwd = async (workdir: string, workingDir?: string) =>
      (await commandSpec(place({}, workingDir), { command: ["/bin/true"], workdir })).cwd;
    expect(await cwd("/app/web", "/app")).toBe("/p/web");
    expect(await cwd("/app", "/app")).toBe("/p");
    expect(await cwd("/etc", "/app")).toBe("/etc");
    expect(await cwd("/app/web")).toBe("/app/web");
  });
});
