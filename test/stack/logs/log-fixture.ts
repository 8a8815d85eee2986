/** Log stores in temporary directories, closed and deleted after each test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { openLogStore } from "../../../src/stack/logs/store.js";
import type { LogPage, LogStore, LogStoreOptions } from "../../../src/stack/logs/types.js";

const directories: string[] = [];
const stores: LogStore[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "stackwarden-logs-"));
  directories.push(directory);
  return directory;
}

/** A store in a new directory, or in the given one. */
export async function openStore(options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
  const directory = options.directory ?? join(temporaryDirectory(), "logs");
  const store = await openLogStore({ redact: (text) => text, ...options, directory });
  stores.push(store);
  return store;
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const texts = (page: LogPage): string[] => page.lines.map(({ text }) => text);
export const seqs = (page: LogPage): number[] => page.lines.map(({ seq }) => seq);

/** `count` different lines of one service, in one write. */
export function writeLines(store: LogStore, service: string, count: number, from = 1, generation = 1): void {
  const lines = Array.from({ length: count }, (_, index) => `${service} line ${from + index}\n`);
  store.sink(service, generation).write("stdout", bytes(lines.join("")));
}
