/** Maps the engine's containers to instances. Concurrent searches share one listing. */
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { Helper } from "./helper.js";
import { script } from "./remote-scripts.js";
import { INSTANCE_VARIABLE } from "./types.js";

const PAUSE_MS = 50;
/** Maximum number of bundles in one request. */
const MOST_BUNDLES = 100;

export const ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,253}$/;

interface Listed {
  id: string;
  bundle: string;
  /** Its first process on the host. */
  pid?: number;
  created: string;
}

function running(text: string): Listed[] {
  const list = JSON.parse(text.trim() === "" ? "null" : text) as unknown;
  return (Array.isArray(list) ? list : []).filter(
    ({ id, bundle, status }) =>
      typeof id === "string" && ID.test(id) && typeof bundle === "string" && status === "running",
  ) as Listed[];
}

export class Containers {
  /** Instance by container id; empty for containers that are not services of stackwarden. */
  readonly #instances = new Map<string, string>();
  #look: Promise<Listed[]> | null = null;
  /** Number of complete listings. */
  looks = 0;

  constructor(private readonly helper: Helper) {}

  async find(instance: string, signal: AbortSignal, waitMs: number): Promise<string> {
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(instance))
      throw new TypeError("The value of an instance is letters, digits, - and _.");
    const end = Date.now() + waitMs;
    for (;;) {
      if (signal.aborted) throw cancelled(signal);
      const mine = (await this.#all()).filter(({ id }) => this.#instances.get(id) === instance);
      // A build step may have had the same environment; the service is the newest container.
      const newest = mine.sort((a, b) => b.created.localeCompare(a.created))[0];
      if (newest !== undefined) return newest.id;
      if (Date.now() > end)
        throw new StackwardenError(
          "SERVICE_START_FAILED",
          `The engine's host shows no running container of the service after ${waitMs / 1000} s.`,
          {
            hint: "The engine may run on another machine than its address says; `stackwarden doctor` shows which machine was searched.",
          },
        );
      await delay(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** The ids of the running containers of these instances. */
  async of(instances: readonly string[]): Promise<string[]> {
    return (await this.#all())
      .filter(({ id }) => instances.includes(this.#instances.get(id) ?? ""))
      .map(({ id }) => id);
  }

  #all(): Promise<Listed[]> {
    this.#look ??= this.#lookAtAll().finally(() => {
      this.#look = null;
    });
    return this.#look;
  }

  async #lookAtAll(): Promise<Listed[]> {
    const { output } = await this.helper.run({ words: script("host_list") });
    let list: Listed[];
    try {
      list = running(output.toString());
    } catch {
      // Incomplete output of a container that just ended; the next listing is complete.
      return [];
    }
    this.looks += 1;
    const present = new Set(list.map(({ id }) => id));
    for (const id of this.#instances.keys()) if (!present.has(id)) this.#instances.delete(id);
    const fresh = list.filter(({ id }) => !this.#instances.has(id)).slice(0, MOST_BUNDLES);
    if (fresh.length === 0) return list;
    const words = script("host_instances", ...fresh.flatMap(({ bundle, pid }) => [bundle, String(pid)]));
    const lines = (await this.helper.run({ words })).output.toString().split("\n");
    for (const [at, { id }] of fresh.entries())
      this.#instances.set(id, lines[at]?.slice(`"${INSTANCE_VARIABLE}=`.length, -1) ?? "");
    return list;
  }
}

export const cancelled = (signal: AbortSignal): unknown =>
  signal.reason instanceof StackwardenError
    ? signal.reason
    : new StackwardenError("OPERATION_CANCELLED", "The operation was cancelled.", {
        hint: hint`Check the current state with ${callTo("health_status")}, then call again.`,
        cause: signal.reason,
      });
