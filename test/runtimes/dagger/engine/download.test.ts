/** The download of the Dagger CLI from a local server. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import {
  archiveName,
  downloadCli,
  downloadedCli,
  downloadPath,
} from "../../../../src/runtimes/dagger/engine/download.js";
import { chooseRuntime } from "../../../../src/stack/lifecycle/runtime-choice.js";
import type { RuntimeNotice, StackRuntime } from "../../../../src/stack/runtime.js";
import type { StackSettings } from "../../../../src/stack/settings.js";
import { SETTINGS } from "../support/parts.js";

const NAME = archiveName() ?? "";
const PROGRAM = "#!/bin/sh\necho dagger v0.21.8\n";

let folder: string;
let programs: string;
let server: Server;
let source: string;
let requests: string[];
let answers: Record<string, Buffer | string | ((response: ServerResponse) => void)>;
let reports: string[];

/** A tar.gz with these files. */
function archive(files: Record<string, string>): Buffer {
  const at = mkdtempSync(join(folder, "archive-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(at, name), text, { mode: 0o755 });
  return execFileSync("tar", ["-cz", "-C", at, ...Object.keys(files)]);
}
const sumOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const busy = (times: number, then: Buffer | string) => (response: ServerResponse) => {
  times -= 1;
  if (times >= 0) response.writeHead(503).end();
  else response.end(then);
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-download-"));
  programs = join(folder, "programs");
  requests = [];
  reports = [];
  const bytes = archive({ LICENSE: "text", dagger: PROGRAM });
  answers = { "checksums.txt": `${"0".repeat(64)}  other.tar.gz\n${sumOf(bytes)}  ${NAME}\n`, [NAME]: bytes };
  server = createServer(({ url = "" }, response) => {
    requests.push(url);
    const answer = answers[url.replace("/releases/0.21.8/", "")];
    if (answer === undefined) response.writeHead(404).end();
    else if (typeof answer === "function") answer(response);
    else response.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  source = `http://127.0.0.1:${(server.address() as { port: number }).port}/releases/`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const download = (signal = new AbortController().signal) =>
  downloadCli({
    folder: programs,
    source,
    signal,
    retry: { maxRetries: 2, baseDelayMs: 5 },
    report: (message) => reports.push(message),
  });
const left = (): string[] => (existsSync(programs) ? readdirSync(programs) : []);

describe.skipIf(NAME === "")("downloadCli", () => {
  it("concurrent starts download one verified program, which only its owner can execute", async () => {
    const [one, two] = await Promise.all([download(), download()]);
    expect([one, two]).toEqual([downloadPath(programs), downloadPath(programs)]);
    expect(requests).toEqual(["/releases/0.21.8/checksums.txt", `/releases/0.21.8/${NAME}`]);
    expect(readFileSync(one, "utf8")).toBe(PROGRAM);
    expect(statSync(one).mode & 0o777).toBe(0o700);
    expect(left()).toEqual(["dagger-0.21.8"]);
    expect(reports).toEqual([
      expect.stringContaining(`Downloading the Dagger CLI 0.21.8 from ${source}`),
      expect.stringContaining("SHA-256 verified"),
    ]);
    expect(await download()).toBe(one);
    expect(requests).toHaveLength(2);
    chmodSync(one, 0o722);
    expect(await downloadedCli(programs)).toBeNull();
  });

  it("a download is retried while the server answers 503", async () => {
    answers[NAME] = busy(1, answers[NAME] as Buffer);
    await download();
    expect(reports[1]).toContain("attempt 1");
    rmSync(programs, { recursive: true });
    answers["checksums.txt"] = busy(9, "");
    await expect(download()).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("answered 503"),
    });
    expect(left()).toEqual([]);
  });

  it("an archive that is not the published program is refused and leaves no files", async () => {
    const other = archive({ dagger: "#!/bin/sh\necho changed\n" });
    const sums = answers["checksums.txt"] as string;
    const nameless = archive({ README: "no program" });
    for (const [change, message] of [
      [{ [NAME]: other }, /has the SHA-256 [0-9a-f]{64}, .*checksums.txt says/],
      [{ "checksums.txt": sums.replace(NAME, "dagger_v0.1.0.tar.gz") }, /has no SHA-256 of/],
      [{ "checksums.txt": `not-a-sum  ${NAME}\n` }, /has no SHA-256 of/],
      [{ "checksums.txt": "x".repeat(2_000_000) }, /more than 1048576 bytes/],
      [{ "checksums.txt": `${sumOf(nameless)}  ${NAME}\n`, [NAME]: nameless }, /has no file dagger/],
      [{ "checksums.txt": `${sumOf(Buffer.from("x"))}  ${NAME}\n`, [NAME]: "x" }, /cannot be downloaded/],
      [{ [NAME]: (response: ServerResponse) => void response.writeHead(404).end() }, /answered 404/],
    ] as const) {
      const before = answers;
      answers = { ...answers, ...change };
      await expect(download()).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: expect.stringMatching(message),
        hint: expect.stringContaining("0.21.8"),
      });
      expect(left()).toEqual([]);
      answers = before;
    }
    expect(requests.length).toBeLessThan(20);
  });

  it("a cancelled download leaves no files", async () => {
    const end = new AbortController();
    answers[NAME] = (response) => {
      response.write("the beginning");
      end.abort(new Error("cancelled by the test"));
    };
    await expect(download(end.signal)).rejects.toThrow("cancelled by the test");
    expect(left()).toEqual([]);
  });

  it("an unwritable folder and a platform without an archive are refused", async () => {
    writeFileSync(programs, "a file where the folder would be");
    await expect(download()).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(archiveName("win32", "x64")).toBeNull();
    expect(archiveName("darwin", "arm64")).toBe("dagger_v0.21.8_darwin_arm64.tar.gz");
    const report = () => undefined;
    const retry = { maxRetries: 0, baseDelayMs: 1 };
    const signal = new AbortController().signal;
    await expect(
      downloadCli({ folder: programs, source, signal, retry, report, platform: "linux", arch: "mips" }),
    ).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe.skipIf(NAME === "")("a Dagger runtime without a CLI", () => {
  const notices: RuntimeNotice[] = [];
  const runtimeWith = (settings: object, env: NodeJS.ProcessEnv = {}): { runtime: StackRuntime; used: string[] } => {
    const bin = join(folder, "bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "docker"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    const used: string[] = [];
    const runtime = createDaggerRuntime({
      settings: { ...SETTINGS, engines: {}, retry: { maxRetries: 0, baseDelayMs: 1 }, ...settings },
      programs,
      env: { PATH: bin, STACKWARDEN_PROGRAM_DIRS: bin, ...env },
      warn: () => {},
      parts: {
        openSession: async ({ cli }) => {
          used.push(cli);
          throw new Error("no session in this test");
        },
      },
    });
    return { runtime, used };
  };
  const open = (runtime: StackRuntime) =>
    runtime.open({
      projectId: "shop",
      folder,
      stateDir: folder,
      definition: {
        name: "shop",
        source: "test",
        services: {},
        volumes: [],
        secretValues: [],
        secrets: {},
        notes: [],
      },
      signal: new AbortController().signal,
      notice: (notice) => notices.push(notice),
    });

  it("the first start downloads the CLI where a container engine answers, with a notice", async () => {
    const { runtime, used } = runtimeWith({ cliSource: source });
    const before = await runtime.check();
    expect(before).toMatchObject({ available: true, downloads: expect.stringContaining("downloads 0.21.8 from") });
    expect(requests).toEqual([]);
    await expect(open(runtime)).rejects.toThrow("no session in this test");
    expect(used).toEqual([downloadPath(programs)]);
    expect(notices).toContainEqual({
      type: "installing",
      message: expect.stringContaining("Downloading the Dagger CLI"),
    });
    const after = await runtime.check();
    expect(after.available).toBe(true);
    expect(after.downloads).toBeUndefined();
    await expect(open(runtime)).rejects.toThrow("no session in this test");
    expect(requests).toHaveLength(2);
  });

  it("the CLI is not downloaded where the operator forbids it or names a missing program", async () => {
    for (const { runtime } of [
      runtimeWith({ cliSource: null }),
      runtimeWith({ cliSource: source }, { _EXPERIMENTAL_DAGGER_CLI_BIN: "/nowhere/dagger" }),
    ]) {
      expect((await runtime.check()).available).toBe(false);
      await expect(open(runtime)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    }
    expect(requests).toEqual([]);
  });

  it("auto chooses a runtime that must be downloaded only where no other runtime is available", async () => {
    const { runtime } = runtimeWith({ cliSource: source });
    const local = (available: boolean) =>
      ({
        name: "local",
        check: async () => ({
          runtime: "local",
          available,
          findings: [{ check: "x", ok: false, message: "It lacks x." }],
        }),
      }) as unknown as StackRuntime;
    const settings = { runtime: "auto" } as StackSettings;
    const chosen = await chooseRuntime(settings, [local(true), runtime]);
    expect(chosen.runtime.name).toBe("local");
    expect(chosen.reason).toMatch(
      /^Runtime local \(dagger would be downloaded first; `stackwarden doctor` says why\)\.$/,
    );
    expect(await chooseRuntime(settings, [local(false), runtime])).toMatchObject({ runtime: { name: "dagger" } });
    expect(await chooseRuntime({ ...settings, runtime: "dagger" }, [local(true), runtime])).toMatchObject({
      runtime: { name: "dagger" },
      reason: "Runtime dagger (configured).",
    });
  });
});
