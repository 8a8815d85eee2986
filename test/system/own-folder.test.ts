import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureTraversableDir, requireOwnFolder } from "../../src/system/atomic-write.js";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "stackwarden-own-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe("folders of the server", () => {
  it("ensureTraversableDir creates a folder that services can enter but not list", async () => {
    await ensureTraversableDir(join(base, "a/b"));
    expect(statSync(join(base, "a/b")).mode & 0o777).toBe(0o711);
    symlinkSync(join(base, "a"), join(base, "link"));
    await ensureTraversableDir(join(base, "link/b"));
  });

  it("ensureTraversableDir refuses a folder that others can write or replace", async () => {
    mkdirSync(join(base, "open/state"), { recursive: true });
    chmodSync(join(base, "open/state"), 0o777);
    await expect(ensureTraversableDir(join(base, "open/state"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining(`every user can write ${join(base, "open/state")}`),
      hint: expect.stringContaining("--state-dir"),
    });
    chmodSync(join(base, "open/state"), 0o700);
    chmodSync(join(base, "open"), 0o777);
    await expect(ensureTraversableDir(join(base, "open/state"))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    // Others cannot replace a folder in a sticky folder, such as /tmp.
    chmodSync(join(base, "open"), 0o1777);
    await ensureTraversableDir(join(base, "open/state"));
  });

  it.skipIf(process.getuid?.() !== 0)(
    "requireOwnFolder refuses a folder that belongs to another user, whatever its mode",
    async () => {
      mkdirSync(join(base, "state"), { mode: 0o700 });
      chownSync(join(base, "state"), 1234, 1234);
      await expect(requireOwnFolder(join(base, "state"))).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("belongs to user 1234"),
      });
      await expect(requireOwnFolder(base, 1234, 1234)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(requireOwnFolder(join(base, "gone"))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    },
  );
});
