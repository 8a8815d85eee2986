import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readKernelFile } from "../../src/system/kernel-file.js";

it("readKernelFile returns a file of any length, and null for a missing file or a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-kernel-file-"));
  try {
    const text = `${"a".repeat(200_000)}é\n`;
    writeFileSync(join(folder, "long"), text);
    expect(readKernelFile(join(folder, "long"))).toBe(text);
    writeFileSync(join(folder, "short"), "3\n");
    expect(readKernelFile(join(folder, "short"))).toBe("3\n");
    expect(readKernelFile(join(folder, "missing"))).toBeNull();
    expect(readKernelFile(folder)).toBeNull();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
