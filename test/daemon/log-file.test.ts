/** The log of the background server. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLogFile } from "../../src/daemon/log-file.js";
import { readLog } from "../../src/daemon/log-reader.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-parts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("the server's log is rotated within its limit and has mode 0600", async () => {
  const path = join(folder, "server.log");
  writeFileSync(path, "", { mode: 0o644 });
  const log = openLogFile(path, { maxBytes: 50, keep: 2 });
  for (let line = 0; line < 20; line += 1) log.write(`this is line ${line}\n`);
  log.close();
  for (const name of [path, `${path}.1`, `${path}.2`]) {
    expect(statSync(name).size).toBeLessThanOrEqual(50);
    expect(statSync(name).mode & 0o777).toBe(0o600);
  }
  expect(existsSync(`${path}.3`)).toBe(false);
  expect(readFileSync(path, "utf8")).toContain("line 19");
  // A second process appends after the lines of the first one.
  const again = openLogFile(path, { maxBytes: 1000 });
  again.write("and more\n");
  again.close();
  expect(readFileSync(path, "utf8")).toMatch(/line 19\nand more\n$/);
});

it("readLog returns the last lines and follows the log across rotations", async () => {
  const path = join(folder, "server.log");
  const over = new AbortController();
  const none: string[] = [];
  for await (const line of readLog(path, { tail: 5, follow: false, signal: over.signal })) none.push(line);
  expect(none).toEqual([]);
  const log = openLogFile(path, { maxBytes: 40 });
  for (let line = 0; line < 3; line += 1) log.write(`line ${line}\n`);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of readLog(path, { tail: 2, follow: true, signal: over.signal, pollMs: 5 })) {
      seen.push(line);
      // One line at a time, so that the reader sees each file.
      if (seen.length < 12) log.write(`line ${seen.length}\n`);
      else over.abort();
    }
  })();
  await reading;
  log.close();
  expect(seen.slice(0, 2)).toEqual(["line 1", "line 2"]);
  expect(seen.slice(2)).toEqual(Array.from({ length: 10 }, (_, index) => `line ${index + 1}`));
});
