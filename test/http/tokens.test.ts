import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TokenStore } from "../../src/http/tokens.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-tokens-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("a request during the read of changed tokens waits for them, and does not accept a removed token", async () => {
  const store = await TokenStore.open(folder);
  const removed = await store.add("old", "read");
  // A read of a named pipe does not end before its writer has written.
  const file = join(folder, "tokens.json");
  rmSync(file);
  execFileSync("mkfifo", [file]);
  const order: string[] = [];
  const first = store.refresh();
  await sleep(50);
  const second = store.refresh().then(() => {
    order.push("request");
    return store.verify(removed);
  });
  await sleep(50);
  order.push("tokens written");
  await writeFile(file, "[]");
  await first;
  expect(await second).toBeNull();
  expect(order).toEqual(["tokens written", "request"]);
});
