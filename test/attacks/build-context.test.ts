/**
 * A hostile project's build context: the archive contains only the project's files, and the server stays responsive.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildContext, type ContextOptions } from "../../src/runtimes/docker/image/context.js";
import { CONTEXT_LIMITS } from "../../src/runtimes/shared/build-context.js";
import { exchangingAll } from "../support/exchange.js";
import { processorClock } from "../support/processor-time.js";

describe.runIf(process.platform === "linux")("build context", () => {
  let root: string;
  let folder: string;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-context-attack-")));
    folder = join(root, "project");
    mkdirSync(folder);
    writeFileSync(join(folder, "Dockerfile"), "FROM scratch\n");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  /** The archive's entries, each as its name, the target of its link and its content. */
  async function archived(options: Partial<ContextOptions> = {}): Promise<string[]> {
    const own = { context: folder, dockerfile: "Dockerfile", folder, exclude: [] };
    const { archive } = await buildContext({ ...own, ...options });
    const entries: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const reader = extract();
      reader.on("entry", (header, body, next) => {
        let text = `${header.name} ${header.linkname ?? ""} `;
        body.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1");
        });
        body.once("end", () => {
          entries.push(text);
          next();
        });
      });
      reader.once("finish", resolve);
      for (const one of [archive, reader]) one.once("error", reject);
      archive.pipe(reader);
    });
    return entries;
  }

  // Before, 98 of 300 archives had names and links of the foreign folder, and 74 more failed.
  it("the archive contains no file or name of a foreign folder that replaces one during reading", async () => {
    const outside = join(root, "outside");
    const pairs: [string, string][] = [];
    for (let at = 0; at < 8; at += 1) {
      mkdirSync(join(outside, `inner-${at}`, "FOREIGN-folder"), { recursive: true });
      writeFileSync(join(outside, `inner-${at}`, "file"), "FOREIGN");
      symlinkSync("FOREIGN-target", join(outside, `inner-${at}`, "link"));
      mkdirSync(join(folder, `inner-${at}`));
      writeFileSync(join(folder, `inner-${at}`, "file"), "own");
      symlinkSync("own-target", join(folder, `inner-${at}`, "link"));
      symlinkSync(join(outside, `inner-${at}`), join(root, `link-${at}`));
      pairs.push([join(folder, `inner-${at}`), join(root, `link-${at}`)]);
    }
    // The link's target is text that the project's owner can choose.
    const isForeign = (text: string): boolean => text.replace(/^inner-\d \S+ /, "").includes("FOREIGN");
    const end = await exchangingAll(pairs);
    let own = 0;
    try {
      for (let turn = 0; turn < 100; turn += 1) {
        const entries = await archived();
        expect(entries.filter(isForeign)).toEqual([]);
        if (entries.some((text) => text.endsWith("own"))) own += 1;
      }
    } finally {
      expect(await end()).toBeGreaterThan(1000);
    }
    expect(own).toBeGreaterThan(20);
  });

  // Before, the server read 4 TiB of zeros.
  it("a sparse file of 4 TiB is refused without reading it", async () => {
    writeFileSync(join(folder, "disk.img"), "");
    truncateSync(join(folder, "disk.img"), 4 * 1024 ** 4);
    await expect(archived()).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("has more than 8 GiB of files"),
      hint: expect.stringContaining(".dockerignore"),
    });
    writeFileSync(join(folder, ".dockerignore"), "*.img\n");
    expect((await archived()).map((text) => text.split(" ")[0])).toEqual([".dockerignore", "Dockerfile"]);
  });

  // Before, there was no limit.
  it("a context with too many entries, or folders nested deeper than 64, is refused", async () => {
    expect(CONTEXT_LIMITS.entries).toBe(100_000);
    for (const name of ["a", "b"]) mkdirSync(join(folder, "many", name), { recursive: true });
    for (let at = 0; at < 1000; at += 1) writeFileSync(join(folder, "many", at % 2 === 0 ? "a" : "b", String(at)), "");
    const limits = { ...CONTEXT_LIMITS, entries: 1000 };
    await expect(archived({ limits })).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("has more than 1,000 entries"),
    });
    writeFileSync(join(folder, ".dockerignore"), "many\n");
    await archived({ limits });
    mkdirSync(join(folder, ...Array.from({ length: 66 }, () => "d")), { recursive: true });
    await expect(archived()).rejects.toMatchObject({ code: "INVALID_STACK", message: expect.stringContaining("64") });
  });

  // Before, blank lines of 256 KiB blocked the server for more than a minute.
  it("a .dockerignore of 200,000 blank lines is read within five seconds of processor time", async () => {
    writeFileSync(join(folder, ".dockerignore"), "\n".repeat(200_000));
    const elapsed = processorClock();
    await archived();
    expect(elapsed()).toBeLessThan(5000);
  });

  it("named pipes and devices are not opened", async () => {
    execFileSync("mkfifo", [join(folder, "pipe"), join(folder, "Dockerfile.fifo"), join(folder, ".dockerignore")]);
    const refused = expect.objectContaining({ code: "INVALID_STACK" });
    await expect(archived()).rejects.toEqual(refused);
    await expect(archived({ dockerfile: "Dockerfile.fifo" })).rejects.toEqual(refused);
    rmSync(join(folder, ".dockerignore"));
    symlinkSync("/dev/zero", join(folder, ".dockerignore"));
    await expect(archived()).rejects.toEqual(refused);
    rmSync(join(folder, ".dockerignore"));
    if (process.getuid?.() === 0) execFileSync("mknod", [join(folder, "zero"), "c", "1", "5"]);
    expect((await archived()).map((text) => text.split(" ")[0])).toEqual(["Dockerfile"]);
  });
});
