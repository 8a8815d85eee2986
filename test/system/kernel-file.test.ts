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

it("readKernelFile ends with a line for which upTo returns true, and reads few bytes more", () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-kernel-file-"));
  try {
    const lines = Array.from({ length: 5000 }, (_, at) => `line ${at} é\n`);
    writeFileSync(join(folder, "lines"), lines.join(""));
    for (const last of [0, 3, 700, 4999]) {
      const text = readKernelFile(join(folder, "lines"), (line) => line.startsWith(`line ${last} `)) ?? "";
      const whole = lines.slice(0, last + 1).join("");
      expect(text.startsWith(whole)).toBe(true);
      expect(text.length - whole.length).toBeLessThan(1000);
    }
    expect(readKernelFile(join(folder, "lines"), () => false)).toBe(lines.join(""));
    // A line that is longer than one read, and no newline at the end.
    const long = `${"a".repeat(3000)}\nb`;
    writeFileSync(join(folder, "long"), long);
    expect(readKernelFile(join(folder, "long"), (line) => line === "none")).toBe(long);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
