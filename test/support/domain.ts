/** A stack manager on a fake runtime, with real compose files, stores and locks in a temporary folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadStack } from "../../src/stack/definition/load.js";
import type { LoadStack } from "../../src/stack/definition/types.js";
import { openLogStore } from "../../src/stack/logs/store.js";
import { createStackManager } from "../../src/stack/manager.js";
import type { CallContext, EventType, SharedStackManager, StackManager } from "../../src/stack/model.js";
import type { StackSettings } from "../../src/stack/settings.js";
import { FakeRuntime } from "./fake-runtime.js";

/** A service with fast checks and the fields of `more`. */
export const service = (name: string, more = ""): string => `
  ${name}:
    image: example/${name}
    x-local: { command: [run] }
    healthcheck: { test: [CMD, x], interval: 100ms, timeout: 1s, retries: 2, start_period: 10s, start_interval: 100ms }
${more
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => `    ${line.trim()}\n`)
  .join("")}`;

export const compose = (...services: string[]): string => `services:${services.join("")}`;

export class Domain {
  readonly folder = mkdtempSync(join(tmpdir(), "stackwarden-domain-"));
  readonly root = join(this.folder, "root");
  readonly state = join(this.folder, "state");
  readonly runtime = new FakeRuntime();
  readonly logged: string[] = [];
  readonly #managers: StackManager[] = [];
  readonly settings: StackSettings = {
    runtime: "auto",
    roots: [this.root],
    stateDir: this.state,
    requireEnforcedLimits: false,
    allowRoot: [],
    allowBinds: [],
    commands: "any",
    restartBudget: 3,
    startTimeoutMs: 20_000,
    projects: {},
    snapshots: { maxCount: 10, maxBytes: 1_073_741_824 },
    retry: { maxRetries: 2, baseDelayMs: 10 },
    logs: { ringBytes: 1_048_576, spoolBytes: 4 * 1_048_576 },
  };

  constructor() {
    mkdirSync(this.root);
  }

  /** How managers that are created from now on read definitions. */
  loadStack: LoadStack = loadStack;

  project(name: string, text: string): string {
    const folder = join(this.root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "compose.yaml"), text);
    return folder;
  }

  manager(settings: Partial<StackSettings> = {}, runtimes = [this.runtime]): SharedStackManager {
    const say =
      (level: string) =>
      (message: string): void => {
        this.logged.push(`${level} ${message}`);
      };
    const logger = { error: say("error"), warn: say("warn"), info: () => undefined, debug: () => undefined };
    const config = { ...this.settings, ...settings };
    const manager = createStackManager({ config, runtimes, loadStack: this.loadStack, openLogStore, logger });
    this.#managers.push(manager);
    return manager;
  }

  async close(): Promise<void> {
    await Promise.all(this.#managers.map((manager) => manager.shutdown("the test ended", 3000)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const call = (fields: Partial<CallContext> = {}): CallContext => ({
  signal: new AbortController().signal,
  actor: "test/1",
  progress: () => undefined,
  ...fields,
});

export async function eventsOf(manager: StackManager, project: string, ...types: EventType[]) {
  const { events } = await manager.events({ project, limit: 1000, ...(types.length > 0 ? { types } : {}) });
  return events;
}

export async function until(what: string, look: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  for (const end = Date.now() + ms; !(await look()); await new Promise((resolve) => setTimeout(resolve, 10)))
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
}
