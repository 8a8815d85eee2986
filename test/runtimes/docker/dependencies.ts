/** Dependencies that the docker runtime installs for the project's programs. */
import { createReadStream, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { contents, type TestDaemon } from "../../support/docker/daemon.mjs";
import { type Bench, until } from "../contract/bench.js";
import { tarball, wheel } from "../local/support/install-context.js";

/** An address of this machine that containers can reach; undefined without a network. */
const machineAddress = (): string | undefined =>
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address;

/** Serves one file. @returns its address */
async function serveFile(path: string, host: string): Promise<{ url: string; server: Server }> {
  const server = createServer((_request, response) => createReadStream(path).pipe(response));
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://${host}:${port}/package.tgz`, server };
}

export function dependencyTests(given: () => { bench: Bench; daemon: TestDaemon }): void {
  const volumes = async (service: string): Promise<string[]> =>
    (await contents(given().daemon.socket)).volumes.filter((name) =>
      name.includes(`_${given().bench.projectId}_${service}-dependencies-`),
    );
  const installs = (): number => given().bench.notices.filter(({ type }) => type === "installing").length;
  const languageService = (
    kind: "python" | "node",
    command: string[],
    fields: Partial<ServiceDefinition> = {},
  ): ServiceDefinition => {
    const { bench } = given();
    const manifest = join(bench.folder, kind === "python" ? "requirements.txt" : "package.json");
    const service = bench.python("app", "", {
      ...(kind === "node" ? { image: "node:20-alpine" } : {}),
      workingDir: "/app",
      networkMode: "none",
      mounts: [{ type: "bind", source: bench.folder, target: "/app", readOnly: false }],
      ...fields,
    });
    return { ...service, command, local: { environment: {}, install: { kind, manifest } } };
  };

  describe("dependencies that the docker runtime installs", () => {
    it("Python dependencies are installed once, again after a change, and deleted with the volumes", async () => {
      const { bench, daemon } = given();
      mkdirSync(join(bench.folder, "wheels"));
      const name = wheel(join(bench.folder, "wheels"), "stacktiny", "1.0");
      bench.file("requirements.txt", `./wheels/${name}\n`);
      const before = readdirSync(bench.folder, { recursive: true });
      const program = "import os, stacktiny; print(stacktiny.VERSION, os.stat(stacktiny.__file__).st_uid, os.getuid())";
      const service = languageService("python", ["python", "-c", program]);
      const stack = await bench.open([service]);
      for (const times of [1, 1]) {
        await (await bench.start(stack, service)).exited;
        expect(bench.sink("app").text("stdout").trim().split("\n").at(-1)).toBe("1.0 1000 1000");
        expect(installs()).toBe(times);
      }
      expect(readdirSync(bench.folder, { recursive: true })).toEqual(before);
      const first = await volumes("app");
      expect(first).toHaveLength(1);

      const next = wheel(join(bench.folder, "wheels"), "stacktiny", "2.0");
      bench.file("requirements.txt", `./wheels/${next}\n`);
      await (await bench.start(stack, service)).exited;
      expect(bench.sink("app").all).toContain("2.0 1000 1000");
      expect(await volumes("app")).toHaveLength(1);
      expect(await volumes("app")).not.toEqual(first);
      await stack.close();
      await bench.target.runtime.removeVolumes(bench.projectId, bench.stateDir, []);
      expect((await contents(daemon.socket)).volumes.filter((one) => one.includes(bench.projectId))).toEqual([]);
    });

    it("a failed installation is retried after a network failure, reports its output and leaves no volume", async () => {
      const { bench } = given();
      bench.file("package.json", '{"name": "web", "dependencies": {"gone": "http://127.0.0.1:1/gone.tgz"}}');
      bench.file(".npmrc", "fetch-retries=0\n");
      const service = languageService("node", ["node", "-e", ""]);
      const stack = await bench.open([service]);
      await expect(bench.start(stack, service)).rejects.toMatchObject({
        code: "DEPENDENCY_INSTALL_FAILED",
        message: 'npm install for "app" ended with 1.',
        details: { last_lines: expect.arrayContaining([expect.stringContaining("ECONNREFUSED")]) },
      });
      expect(bench.notices.filter(({ type }) => type === "retrying")).toHaveLength(1);
      expect(bench.sink("app").text("install")).toContain("ECONNREFUSED");
      expect(await volumes("app")).toEqual([]);
    });

    it("a cancelled installation ends and leaves no volume", async () => {
      const { bench, daemon } = given();
      const end = new AbortController();
      bench.file("requirements.txt", "--no-index\nstacktiny\n");
      const service = languageService("python", ["python", "-c", "pass"]);
      const stack = await bench.open([service]);
      const starting = bench.start(stack, service, { signal: end.signal });
      starting.catch(() => undefined);
      await until(
        "the installer's container exists",
        async () => (await contents(daemon.socket)).containers.length > 0,
      );
      end.abort(new Error("cancelled by the test"));
      await expect(starting).rejects.toThrow("cancelled by the test");
      expect(await volumes("app")).toEqual([]);
    });

    const address = machineAddress();
    it.skipIf(address === undefined)(
      "the program and npm find node dependencies, and the project's own scripts are not run",
      async () => {
        const { bench } = given();
        const file = tarball(bench.root, "stacktiny", "1.0.0");
        const { url, server } = await serveFile(file, address as string);
        try {
          const manifest = {
            name: "web",
            scripts: { prepare: "exit 9", dev: "node main.js" },
            dependencies: { stacktiny: url },
          };
          bench.file("package.json", JSON.stringify(manifest));
          bench.file(".npmrc", "fund=false\n");
          writeFileSync(join(bench.folder, "main.js"), 'console.log("has", require("stacktiny"))\n');
          const before = readdirSync(bench.folder, { recursive: true });
          const service = languageService("node", ["npm", "run", "dev"]);
          const stack = await bench.open([service]);
          await (await bench.start(stack, service)).exited;
          expect(bench.sink("app").all).toContain("has 1.0.0");
          expect(bench.notices.some(({ type, message }) => type === "warning" && message.includes("prepare"))).toBe(
            true,
          );
          expect(readdirSync(bench.folder, { recursive: true })).toEqual(before);
        } finally {
          server.close();
        }
      },
    );

    it("a manifest without dependencies installs nothing", async () => {
      const { bench } = given();
      bench.file("package.json", '{"name": "web"}');
      bench.file("requirements.txt", "# none\n");
      for (const service of [
        languageService("node", ["node", "-e", "console.log('runs')"]),
        languageService("python", ["python", "-c", "print('runs')"]),
      ]) {
        const stack = await bench.open([service]);
        await (await bench.start(stack, service)).exited;
        expect(bench.sink("app").all).toBe("runs\n");
        await stack.close();
      }
      expect(installs()).toBe(0);
    });

    it("a manifest outside of the project is refused", async () => {
      const { bench } = given();
      const service = languageService("python", ["python", "-c", "pass"]);
      const outside = {
        ...service,
        local: { environment: {}, install: { kind: "python" as const, manifest: "/etc/passwd" } },
      };
      const stack = await bench.open([outside]);
      await expect(bench.start(stack, outside)).rejects.toMatchObject({ code: "DEPENDENCY_INSTALL_FAILED" });
    });
  });
}
