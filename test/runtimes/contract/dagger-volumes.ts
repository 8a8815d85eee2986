/** Named volumes as cache volumes of an engine, and binds as copies. */
import { chmodSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findCli } from "../../../src/runtimes/dagger/engine/discovery.js";
import { RUNNER_VARIABLE } from "../../../src/runtimes/dagger/engine/engines.js";
import { openSession } from "../../../src/runtimes/dagger/session/session.js";
import { RecordingSink, WAITS } from "./bench.js";
import { type Given, shared } from "./contract.js";

/** @param env the environment that names the engine */
export const daggerVolumeTests =
  (env: () => NodeJS.ProcessEnv) =>
  (given: Given): void => {
    describe("volumes of a Dagger engine", () => {
      const mounts = [{ type: "volume" as const, source: "app-data", target: "/data", readOnly: false }];

      /** A service with a volume that looks like PostgreSQL's, and with a bind. */
      const mounted = shared(given, async (bench) => {
        bench.file("src/removed", "old");
        const program = `open("/data/postmaster.pid", "w").close()\n${WAITS}`;
        const bind = { type: "bind" as const, source: join(bench.folder, "src"), target: "/srv/src", readOnly: false };
        const fields = { environment: { PGDATA: "/data" }, mounts: [...mounts, bind] };
        const service = bench.python("app", program, fields);
        const stack = await bench.open([service], { volumes: ["app-data"] });
        const running = await bench.start(stack, service);
        await bench.sink("app").shows("up");
        return { service, stack, running };
      });

      it("a one-off command keeps the postmaster.pid of a running PostgreSQL", async () => {
        const { bench, service, stack } = await mounted();
        const output = new RecordingSink();
        const command = ["python3", "-c", `# ${bench.mark}\nimport os; print(os.listdir("/data"))`];
        const ran = await stack.runOneOff({
          ...bench.request(service),
          exec: { command, onOutput: (stream, chunk) => output.write(stream, chunk) },
        });
        expect(ran.exitCode).toBe(0);
        expect(output.text()).toBe("['postmaster.pid']\n");
      });

      it("a volume keeps its data for another user and is empty after its deletion", async () => {
        const bench = given();
        const service = bench.python("app", `open("/data/word", "w").close()`, { mounts });
        const stack = await bench.open([service], { volumes: ["app-data"] });
        await (await bench.start(stack, service)).exited;
        const other = bench.python("app", `import os; print(os.listdir("/data"))`, { mounts, user: "1001" });
        await (await bench.start(stack, other)).exited;
        expect(bench.sink("app").text()).toBe("['word']\n");
        await stack.close();

        const records = JSON.parse(readFileSync(join(bench.stateDir, "dagger-volumes.json"), "utf8"));
        const [{ key, owner }] = Object.values(records) as [{ key: string; owner: string }];
        const cli = await findCli(env());
        if ("missing" in cli) throw new Error(cli.missing);
        const content = async (): Promise<string> => {
          const session = await openSession({
            cli: cli.path,
            runnerHost: env()[RUNNER_VARIABLE] ?? null,
            workdir: bench.folder,
            env: env(),
            signal: new AbortController().signal,
            warn: () => {},
          });
          try {
            const client = session.client();
            const volume = client.cacheVolume(key);
            return await client
              .container()
              .from(bench.target.images.python)
              .withMountedCache("/data", volume, { owner })
              .withEnvVariable("NOW", String(Date.now()))
              .withExec(["ls", "-A", "/data"])
              .stdout();
          } finally {
            await session.close();
          }
        };
        expect(await content()).toBe("word\n");
        await bench.target.runtime.removeVolumes(bench.projectId, bench.stateDir, ["app-data"]);
        expect(await content()).toBe("");
      });

      it("changed files of a bind are copied into the running service without secrets", async () => {
        const { bench, running } = await mounted();
        bench.file("src/deep/script", "#!/bin/sh\necho new");
        chmodSync(join(bench.folder, "src/deep/script"), 0o755);
        bench.file("src/a b", "words");
        bench.file(".env", "SECRET=hush");
        const copy = (path: string | null, target: string) => ({
          target,
          source: path === null ? null : { path, within: bench.folder },
        });
        await running.copyFiles?.([
          copy("src/deep/script", "/srv/src/deep/script"),
          copy("src/a b", "/srv/src/a b"),
          copy("gone", "/srv/src/gone"),
          copy(".env", "/srv/src/env"),
          copy(null, "/srv/src/removed"),
        ]);
        const look = "/srv/src/deep/script; cat '/srv/src/a b'; cd /srv/src; ls; stat -c '%u %a' deep/script 'a b'";
        const output = new RecordingSink();
        await running.exec({
          command: ["sh", "-c", look],
          signal: new AbortController().signal,
          onOutput: (stream, chunk) => output.write(stream, chunk),
        });
        expect(output.text()).toBe("new\nwordsa b\ndeep\n1000 755\n1000 644\n");
        await expect(running.copyFiles?.([copy("src/a b", "/etc/a")])).rejects.toThrow(
          /^Files could not be copied into app: .*denied/s,
        );
        symlinkSync("/etc/passwd", join(bench.folder, "outside"));
        await expect(running.copyFiles?.([copy("outside", "/srv/src/outside")])).rejects.toThrow("leads outside");
      });
    });
  };
