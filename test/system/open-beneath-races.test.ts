/** Races between a reader and a process that writes in the folder. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readRegularText, UnsafePathError } from "../../src/system/read-regular-file.js";
import { exchanging } from "../support/exchange.js";

/** The rarest attack succeeded once in 155 reads in an earlier version. */
const TURNS = 3000;

describe.runIf(process.platform === "linux")("readRegularText", () => {
  let root: string;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-races-")));
    mkdirSync(join(root, "outside"));
    mkdirSync(join(root, "project/inner"), { recursive: true });
    writeFileSync(join(root, "outside/file"), "FOREIGN");
    writeFileSync(join(root, "project/inner/file"), "own");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  // A check of the real path followed by readFileSync returned the foreign text in 7,656 of 20,000 reads.
  it("no file from outside is read while a folder and a link to another folder are exchanged", async () => {
    symlinkSync("../outside", join(root, "project/other"));
    const end = await exchanging(join(root, "project/inner"), join(root, "project/other"));
    const results = { own: 0, refused: 0 };
    const others = new Set<string | undefined>();
    try {
      for (let turn = 0; turn < TURNS; turn += 1) {
        try {
          const text = readRegularText("inner/file", { within: join(root, "project") });
          if (text === "own") results.own += 1;
          else others.add(text);
        } catch (error) {
          if (!(error instanceof UnsafePathError)) throw error;
          results.refused += 1;
        }
      }
    } finally {
      expect(await end()).toBeGreaterThan(1000);
    }
    expect([...others]).toEqual([]);
    expect(results.own).toBeGreaterThan(100);
    expect(results.refused).toBeGreaterThan(100);
  });

  // The same check returned the foreign text in 129 of 20,000 reads.
  it("no file from outside is read while the project's folder and a link are exchanged", async () => {
    symlinkSync("outside", join(root, "link"));
    mkdirSync(join(root, "project"), { recursive: true });
    writeFileSync(join(root, "project/file"), "own");
    const end = await exchanging(join(root, "project"), join(root, "link"));
    const results = new Set<string>();
    try {
      for (let turn = 0; turn < TURNS; turn += 1) {
        try {
          results.add(readRegularText("file", { within: join(root, "project") }) ?? "absent");
        } catch (error) {
          if (!(error instanceof UnsafePathError)) throw error;
          results.add("refused");
        }
      }
    } finally {
      await end();
    }
    expect([...results].sort()).toEqual(["own", "refused"]);
  });
});
