import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRegularFile, readRegularText, statBeneath } from "../../src/system/read-regular-file.js";

const isRoot = process.getuid?.() === 0;

describe("readRegularText and statBeneath", () => {
  let root: string;
  let within: string;
  const at = (name: string) => join(within, name);
  const read = (path: string) => readRegularText(path, { within, maxBytes: 1024 });

  beforeAll(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-read-")));
    within = join(root, "project");
    mkdirSync(at("inner/deep"), { recursive: true });
    writeFileSync(join(root, "secret"), "TOP");
    writeFileSync(at("inner/plain"), "text");
    symlinkSync("inner/plain", at("link"));
    symlinkSync(at("inner"), at("absolute"));
    symlinkSync("../link", at("inner/up"));
    symlinkSync("../secret", at("out"));
    symlinkSync("inner/deep/../../../secret", at("round"));
    symlinkSync("/etc/passwd", at("passwd"));
    symlinkSync("..", at("above"));
    symlinkSync("loop-b", at("loop-a"));
    symlinkSync("loop-a", at("loop-b"));
    symlinkSync("nowhere", at("dangling"));
    writeFileSync(at("large"), "");
    truncateSync(at("large"), 1025);
    execFileSync("mkfifo", [at("pipe")]);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each(["inner/plain", "link", "absolute/plain", "inner/up", "./inner/../link"])(
    "the path %s is read through links that stay inside of the project",
    (path) => {
      expect(read(path)).toBe("text");
      expect(readRegularFile(at(path), { within })?.path).toBe(at("inner/plain"));
      expect(statBeneath(path, within)).toEqual({
        kind: "file",
        path: at("inner/plain"),
        size: 4,
        stats: expect.objectContaining({ size: 4 }),
      });
    },
  );

  it.each(["missing", "inner/missing/more", "dangling", "inner/plain/below"])(
    "the absent path %s is undefined",
    (path) => {
      expect(read(path)).toBeUndefined();
      expect(statBeneath(path, within)).toBeUndefined();
    },
  );

  it.each(["out", "round", "passwd", "above/secret", "../secret", "loop-a"])(
    "the path %s is refused because it leads outside of the project",
    (path) => {
      expect(() => read(path)).toThrow(
        expect.objectContaining({ code: "INVALID_STACK", reason: expect.stringMatching(/outside|denied/) }),
      );
      expect(() => read(path)).toThrow(/^(?!.*TOP)/);
    },
  );

  it.each([
    ["pipe", "is a named pipe; expected a regular file"],
    ["inner", "is a folder; expected a regular file"],
    ["large", "is larger than 1 KiB"],
  ])("the path %s is refused because it is not a regular file within the size limit", (path, problem) => {
    expect(() => read(path)).toThrow(`${path} ${problem}.`);
  });

  it("a socket is refused", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at("socket"), resolve));
    try {
      expect(() => read("socket")).toThrow("socket is a socket; expected a regular file.");
      expect(statBeneath("socket", within)?.kind).toBe("special");
    } finally {
      server.close();
    }
  });

  it("an error names the path relative to the project", () => {
    expect(() => read("out")).toThrow("out leads outside the project's folder.");
  });

  it.skipIf(isRoot)("an unreadable file is refused with the system's error code", () => {
    writeFileSync(at("closed"), "x");
    chmodSync(at("closed"), 0);
    expect(() => read("closed")).toThrow("closed cannot be read (EACCES).");
  });

  it.runIf(process.platform === "linux")("a project's folder that is a link is refused", () => {
    symlinkSync(within, join(root, "swapped"));
    expect(() => readRegularText("inner/plain", { within: join(root, "swapped") })).toThrow(
      "inner/plain cannot be reached: its folder was replaced by a link.",
    );
  });

  it("a device is refused", () => {
    expect(() => readRegularText("dev/null", { within: "/" })).toThrow(
      "dev/null is a device; expected a regular file.",
    );
  });
});
