/** PostgreSQL's programs and the template of new databases, made once for each run of the suite. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fixture, service } from "../runtimes/local/support/fixture.js";
import { perRun } from "./per-run.mjs";

const isTemplate = (name: string): boolean => name.startsWith("cluster-");

/** A start of PostgreSQL fills a server's cache. */
async function fill(folder: string): Promise<void> {
  const fixture = new Fixture();
  try {
    const db = service("db", { image: "postgres:15", environment: { POSTGRES_PASSWORD: "template" } });
    const stack = await fixture.open([db]);
    await fixture.start(stack, db);
    renameSync(join(fixture.serverState, "cache"), join(folder, "cache"));
  } finally {
    await fixture.close();
  }
}

/**
 * Gives a state directory the programs and, as root, the template, which a server would otherwise copy and create. The
 * files are links to those of other tests, which no server changes.
 * @param template false: the programs alone
 */
export async function withPostgresCache(state: string, { template = true } = {}): Promise<void> {
  if (process.platform !== "linux") return;
  const made = await perRun("postgres", fill);
  if (made === null) return;
  mkdirSync(state, { recursive: true, mode: 0o711 });
  execFileSync("cp", ["-a", "--link", join(made, "cache"), state]);
  const cache = join(state, "cache");
  if (!template)
    for (const name of readdirSync(cache).filter(isTemplate)) rmSync(join(cache, name), { recursive: true });
}
