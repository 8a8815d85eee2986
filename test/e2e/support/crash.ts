/** Kills a server between two steps of its work, the same in every run: what crash.cjs does inside the server. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, until } from "./bench.js";

/** A call of Node.js that a server makes. */
export interface Step {
  call: string;
  /** Regular expression for the call's arguments. */
  path: string;
  when: "before" | "after";
}

export class Crash {
  readonly #order: string;
  /** Environment of the server. */
  readonly env: Record<string, string>;

  constructor(folder: string) {
    this.#order = join(folder, "crash.json");
    this.env = { NODE_OPTIONS: `--require ${join(ROOT, "test/e2e/support/crash.cjs")}`, CRASH_ORDER: this.#order };
  }

  /** The server is killed at this step. */
  killAt({ call, path, when }: Step): void {
    writeFileSync(this.#order, JSON.stringify({ call, path, when }));
  }

  /**
   * Begins a change, and waits until it stays at this step, where the server's end ends it. Only a call that returns a
   * promise can stay.
   * @param name of the change, for an error
   * @returns the change's end
   */
  async holdAt<T>({ call, path, when }: Step, name: string, change: () => Promise<T>): Promise<{ end: Promise<T> }> {
    writeFileSync(this.#order, JSON.stringify({ call, path, when, hold: true }));
    const held = `${this.#order}.held`;
    const end = change();
    await Promise.race([end, until(`the change stays: ${name}`, () => existsSync(held))]);
    rmSync(held);
    return { end };
  }

  /** Removes the order of a server that was killed. */
  clear(): void {
    rmSync(this.#order);
  }
}
