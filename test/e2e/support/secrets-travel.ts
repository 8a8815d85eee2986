/**
 * Secrets on the Dagger runtime: a client uses the built server on a given engine, everything between them is recorded,
 * and secrets may appear only where they are needed.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outputRecords } from "../../../src/runtimes/dagger/telemetry/otlp.js";
import { withStubPrograms } from "../../support/program-dirs.js";
import { type Bundle, filesWith, watchBundles } from "../../support/secrets/engine-traces.js";
import { type Needles, needlesOf, secretsIn } from "../../support/secrets/needles.js";
import { type Recorder, startRecorder, withoutPlaintexts } from "../../support/secrets/recorder.js";
import { type Answer, type Server, TestBench, until } from "./bench.js";
import { type SecretStack, secretStack } from "./secret-stack.js";

export interface TargetEngine {
  /** Programs that the recorder runs. */
  dagger: string;
  runc: string;
  /** Environment of a server that finds the engine, without PATH. */
  env: Record<string, string>;
  /** Folder of the containers' bundles. Null if it cannot be read. */
  bundles: string | null;
  /** The engine's store and its log. Null if they cannot be read. */
  store: string | null;
  log: string | null;
  /** Whether the engine has a cache to inspect; the simulated one has none. */
  keepsCache: boolean;
  close(): Promise<void>;
}

const PROJECT = "vault";
const SERVICES = ["db", "cache", "app", "page"];
const MOST_ENTRIES = 3000;
const QUIET_MS = 1500;
const LONGEST_LOOK_MS = 5000;

/** A stream from its beginning until nothing arrives for a moment; an endless one is cut. */
function wholeStream({ port, token }: { port: number; token: string }, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const authorization = `Basic ${Buffer.from(`${token}:`).toString("base64")}`;
    let text = "";
    const request = get({ host: "127.0.0.1", port, path, headers: { authorization } }, (answer) => {
      answer.setEncoding("utf8");
      const end = (): void => void request.destroy();
      const most = setTimeout(end, LONGEST_LOOK_MS);
      let quiet = setTimeout(end, QUIET_MS);
      answer.on("data", (chunk: string) => {
        text += chunk;
        clearTimeout(quiet);
        quiet = setTimeout(end, QUIET_MS);
      });
      answer.once("close", () => {
        clearTimeout(most);
        clearTimeout(quiet);
        resolve(text);
      });
    });
    request.once("error", (error) => (text === "" ? reject(error) : resolve(text)));
  });
}

/** Output of the containers, each stream by itself and joined, because the engine cuts it anywhere. */
function printed(stream: string): string {
  const streams = new Map<string, string>();
  for (const line of stream.split("\n").filter((one) => one.startsWith("data: {")))
    for (const { traceId, stream: name, bytes } of outputRecords(line.slice("data: ".length))) {
      const key = `${traceId} ${name}`;
      streams.set(key, `${streams.get(key) ?? ""}${Buffer.from(bytes)}`);
    }
  return [...streams.values()].join("\n");
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? [path, ...filesBelow(path)] : [path];
  });
}

const environmentOf = (pid: number): string => readFileSync(`/proc/${pid}/environ`, "latin1");

export function secretsTravel(title: string, reason: string | null, open: () => Promise<TargetEngine>): void {
  describe.skipIf(reason !== null)(`secrets on ${title}${reason === null ? "" : `: skipped, ${reason}`}`, () => {
    describe.each([true, false])("with the engine's host in reach: %s", (inReach) => {
      const bench = new TestBench("standalone");
      const began = new Date();
      const told: unknown[] = [];
      let stack: SecretStack;
      let engine: TargetEngine;
      let recorder: Recorder;
      let server: Server;
      let watching: { seen: Map<string, Bundle>; stop(): void } | undefined;
      let logAt = 0;
      /** Texts that must stay hidden, and a mark that shows that a search works. */
      let needles: Needles;
      let mark: Needles;

      const call = async (name: string, input: object = {}): Promise<Answer> => {
        const answer = await server.call(name, { project: PROJECT, ...input }, { onprogress: (one) => told.push(one) });
        told.push(answer);
        return answer;
      };
      const nothing = (where: string, text: string | Buffer): void => {
        expect(secretsIn(needles, where, text)).toEqual([]);
      };
      const looked = (where: string, text: string | Buffer): void => {
        nothing(where, text);
        expect(secretsIn(mark, where, text), `the mark in ${where}`).not.toEqual([]);
      };
      const lines = async (service: string): Promise<string[]> =>
        (await call("get_logs", { service, tail: 5000 })).lines.map(({ text }: { text: string }) => text);

      beforeAll(async () => {
        engine = await open();
        stack = secretStack();
        recorder = startRecorder(bench.folder, { ...engine, sh: inReach ? "/bin/sh" : null });
        bench.project(PROJECT, stack.files);
        if (engine.bundles !== null) watching = watchBundles(engine.bundles);
        if (engine.log !== null) logAt = statSync(engine.log).size;
        server = await bench.server({
          ...engine.env,
          ...withStubPrograms(recorder.bin),
          _EXPERIMENTAL_DAGGER_CLI_BIN: recorder.cli,
          STACKWARDEN_RUNTIME: "dagger",
          STACKWARDEN_LOG_LEVEL: "trace",
        });
        await call("start_stack", { folder: PROJECT, timeout_seconds: 300 });
        const kept = JSON.parse(readFileSync(join(bench.state, "projects", PROJECT, "secrets.json"), "utf8"));
        const { token } = recorder.session();
        needles = needlesOf({ ...stack.secrets, generated: kept["db-password"] as string, session: token });
        mark = needlesOf({ mark: stack.mark });
        await until("the service's word", async () => (await lines("app")).includes("app is up"));
        await call("restart_service", { service: "app", timeout_seconds: 120 });
        await until(
          "its word again",
          async () => (await lines("app")).filter((one) => one === "app is up").length === 2,
        );
      }, 600_000);
      afterAll(async () => {
        watching?.stop();
        await bench.close();
        await engine?.close();
      });

      it("no answer and no log line contains a secret that a service prints", async () => {
        const health = await call("health_status", { fresh: true });
        expect(health.overall_healthy).toBe(true);
        const said = await lines("app");
        for (const name of ["API_TOKEN", "SESSION", "MAIL_PASSWORD"])
          expect(
            said.filter((line) => /^app says /.test(line) && line.includes(name)),
            name,
          ).not.toEqual([]);
        expect(said).toContain(`app marks ${stack.mark}`);
        expect(said).toContain("app finds /src/page/package.json /src/readme.txt");
        expect((await lines("page")).some((line) => /^page has settings of -1 (?:-1|0)$/.test(line))).toBe(true);
        expect(said.filter((line) => line.startsWith("app reads ") && line.endsWith(" 0o100400"))).toHaveLength(6);
        expect(secretsIn(needlesOf({ echo: stack.echo }), "get_logs", said.join("\n"))).toEqual([]);
        for (const tool of ["get_events", "get_stats", "diagnose", "list_stacks"])
          told.push(await server.call(tool, tool === "list_stacks" ? {} : { project: PROJECT }));
        const { resources } = await server.client.listResources();
        for (const { uri } of resources) told.push(await server.client.readResource({ uri }));
        for (const service of SERVICES) await lines(service);
        looked("the answers", JSON.stringify(told));
        nothing("the server's log", server.stderr());
      });

      it("requests to the engine contain secrets only as plaintexts of Dagger secrets", () => {
        const plaintexts = new Set<string>();
        const sent = recorder.requests().map(({ method, url, headers, body }) => {
          const { authorization, ...others } = headers;
          const query = url === "/query" ? withoutPlaintexts(body) : { document: body, plaintexts: [] };
          for (const one of query.plaintexts) plaintexts.add(one);
          const { token } = recorder.session();
          expect(authorization).toBe(`Basic ${Buffer.from(`${token}:`).toString("base64")}`);
          return `${method} ${url} ${JSON.stringify(others)}\n${query.document}`;
        });
        looked("the requests", sent.join("\n"));
        for (const [name, value] of Object.entries(stack.secrets))
          expect(
            [...plaintexts].some((one) => one.includes(value)),
            name,
          ).toBe(true);
      });

      it("no program has a secret in its arguments or environment", () => {
        for (const { args, environment } of recorder.calls())
          nothing("the CLI's call", `${args.join("\n")}\n${JSON.stringify(environment)}`);
        expect(recorder.calls().map(({ args }) => args[0])).toContain("session");
        nothing("the CLI's words", recorder.stderr());
        expect(recorder.words("sh").length).toBeGreaterThan(0);
        expect(recorder.words("runc").length > 0).toBe(inReach);
        for (const program of ["sh", "runc"] as const)
          nothing(`arguments of ${program}`, recorder.words(program).join("\n"));
        nothing("the server's environment", environmentOf(server.pid));
      });

      it("answers and streams of the session contain no secret, and the engine masks printed ones", async () => {
        const answered = recorder.answers();
        looked("the answers of the session", Buffer.concat(answered.map(({ body }) => body)));
        const session = recorder.session();
        const [logs, traces, metrics] = await Promise.all([
          wholeStream(session, "/v1/logs"),
          wholeStream(session, "/v1/traces"),
          engine.keepsCache ? wholeStream(session, "/v1/metrics") : null,
        ]);
        looked("/v1/logs", logs);
        looked("what was printed", printed(logs));
        expect(printed(logs)).toContain("app says API_TOKEN is ***");
        expect(printed(logs)).toContain("app reads /run/secrets/from-file ***");
        looked("/v1/traces", traces);
        if (metrics !== null) nothing("/v1/metrics", metrics);
      });

      it("only secrets.json of the state directory contains secrets", () => {
        const files = filesBelow(bench.state);
        expect(files.some((path) => path.includes("/logs/"))).toBe(true);
        const withSecrets = new Set<string>();
        for (const path of files) {
          const found = statSync(path);
          if (found.isDirectory()) {
            expect([path, found.mode & 0o066]).toEqual([path, 0]);
            continue;
          }
          if (!found.isFile()) continue;
          expect([path, found.mode & 0o077]).toEqual([path, 0]);
          if (secretsIn(needles, path, readFileSync(path)).length > 0) withSecrets.add(path);
        }
        expect([...withSecrets]).toEqual([join(bench.state, "projects", PROJECT, "secrets.json")]);
      });

      it("bundles of the services contain secrets only in the environment", async (test) => {
        if (engine.bundles === null || watching === undefined) test.skip("this engine's host cannot be looked at");
        const bundles = [...(watching?.seen.values() ?? [])];
        const withSecrets = bundles.filter(
          ({ args, env }) => secretsIn(needles, "", JSON.stringify({ args, env })).length > 0,
        );
        expect(withSecrets.length).toBeGreaterThanOrEqual(["db", "cache", "app"].length);
        for (const { args, env } of withSecrets) {
          nothing("arguments in a bundle", args.join("\n"));
          expect(env.some((one) => one.startsWith("STACKWARDEN_INSTANCE="))).toBe(true);
        }
      });

      it("the engine's cache, files and log contain no secret outside running services", {
        timeout: 600_000,
      }, async (test) => {
        if (engine.keepsCache) {
          const ask = async (fields: string): Promise<string> => {
            const { port, token } = recorder.session();
            const answer = await fetch(`http://127.0.0.1:${port}/query`, {
              method: "POST",
              headers: {
                authorization: `Basic ${Buffer.from(`${token}:`).toString("base64")}`,
                "content-type": "application/json",
              },
              body: JSON.stringify({ query: `{ engine { localCache { entrySet { ${fields} } } } }` }),
            });
            return answer.text();
          };
          const count = Number(/"entryCount":(\d+)/.exec(await ask("entryCount"))?.[1]);
          expect(count).toBeGreaterThan(0);
          // A cache with many entries takes minutes to list; then the engine's files are searched.
          if (count < MOST_ENTRIES || engine.store === null) {
            const text = await ask("entries { description recordType }");
            expect(text).toContain('"description":"withSecretVariable"');
            nothing("the engine's cache", text);
          }
        }
        const { store, bundles, keepsCache } = engine;
        const kept = (texts: Needles): string[] =>
          store === null ? [] : filesWith(store, began, [...texts.values()].flat(), bench.folder);
        expect(kept(mark).length > 0).toBe(store !== null);
        // A running service has its environment in its bundle only.
        expect(kept(needles).filter((path) => !path.startsWith(`${bundles}/`))).toEqual([]);
        expect(await call("stop_stack", { timeout_seconds: 120 })).toMatchObject({ status: "stopped" });
        nothing("the answers", JSON.stringify(told));
        nothing("the server's log", server.stderr());
        if (engine.log !== null) {
          const log = readFileSync(engine.log).subarray(logAt);
          expect(log.toString()).toContain("/query");
          nothing("the engine's log", log);
        }
        if (store === null) test.skip("this engine's host cannot be looked at");
        // The simulated engine removes its bundles with its folder.
        if (keepsCache) expect(kept(needles)).toEqual([]);
      });
    });
  });
}
