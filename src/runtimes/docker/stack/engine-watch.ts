/**
 * Watches the engine while a stack runs: counts OOM kills, detects broken connections, and determines whether a break
 * was an interruption (everything still runs) or the end of the engine (the stack is lost).
 */

import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { within } from "../../../system/wait.js";
import { engineMessage } from "../engine/errors.js";
import { jsonLines } from "../engine/json-lines.js";
import { labelFilter } from "../leftovers/labels.js";

export interface EngineWatchOptions {
  docker: Docker;
  host: string;
  /** Label filter for the containers of the stack. */
  labels: Record<string, string>;
  /** Containers that should be running, with their start time from the engine. */
  running(): { id: string; startedAt: string }[];
  notice(message: string): void;
  /** Milliseconds that an engine may take to respond again. */
  patienceMs?: number;
}

const PATIENCE_MS = 10_000;
const RETRY_MS = 200;
const ATTEMPT_MS = 3000;

interface EngineEvent {
  Type?: string;
  Action?: string;
  Actor?: { ID?: string };
}

const bounded = <T>(task: Promise<T>, ms: number): Promise<T> =>
  within(task, { ms, late: () => new Error(`no answer within ${ms} ms`) });

export class EngineWatch {
  /** Settles when the engine ended or restarted while the stack ran; never rejects. */
  readonly lost: Promise<{ reason: string }>;
  /** Aborted when `lost` settles. */
  readonly over = new AbortController();
  readonly #oomKills = new Map<string, number>();
  readonly #closed = new AbortController();
  #lose: (reason: string) => void = () => {};
  #stream: Readable | null = null;
  #recovering: Promise<boolean> | null = null;

  constructor(private readonly options: EngineWatchOptions) {
    this.lost = new Promise((resolve) => {
      this.#lose = (reason) => {
        if (this.over.signal.aborted || this.#closed.signal.aborted) return;
        this.over.abort(new Error(reason));
        resolve({ reason });
      };
    });
  }

  /** @throws the engine's error */
  async open(): Promise<void> {
    await this.#connect();
  }

  oomKills(container: string): number {
    return this.#oomKills.get(container) ?? 0;
  }

  forget(container: string): void {
    this.#oomKills.delete(container);
  }

  /**
   * Waits until the engine responds again after a broken connection.
   * @returns true when all containers still run; false when the stack is lost or closed
   */
  recovered(): Promise<boolean> {
    if (this.over.signal.aborted || this.#closed.signal.aborted) return Promise.resolve(false);
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = null;
    });
    return this.#recovering;
  }

  close(): void {
    this.#closed.abort();
    this.#stream?.destroy();
  }

  async #connect(): Promise<void> {
    const { docker, labels } = this.options;
    const stream = (await bounded(
      docker.getEvents({ filters: { type: ["container"], event: ["oom"], label: labelFilter(labels) } }),
      ATTEMPT_MS,
    )) as unknown as Readable;
    if (this.#closed.signal.aborted) {
      stream.destroy();
      return;
    }
    this.#stream = stream;
    void this.#read(stream);
  }

  async #read(stream: Readable): Promise<void> {
    try {
      for await (const { Action, Actor } of jsonLines<EngineEvent>(stream))
        if (Action === "oom" && Actor?.ID !== undefined) this.#oomKills.set(Actor.ID, this.oomKills(Actor.ID) + 1);
    } catch {
      // A broken stream is treated like an ended one.
    }
    if (this.#stream === stream) this.#stream = null;
    if (!this.#closed.signal.aborted) await this.recovered();
  }

  async #recover(): Promise<boolean> {
    const { host, notice, patienceMs = PATIENCE_MS } = this.options;
    const end = Date.now() + patienceMs;
    let why = "";
    while (!this.#closed.signal.aborted) {
      try {
        if (this.#stream === null) await this.#connect();
        const downtimeMs = await this.#gone();
        if (downtimeMs > 0) {
          this.#lose(
            `the container engine at ${host} restarted and ${downtimeMs} of the stack's containers ended with it`,
          );
          return false;
        }
        notice(`The connection to the container engine at ${host} was interrupted; every container still runs.`);
        return true;
      } catch (error) {
        why = engineMessage(error);
      }
      if (Date.now() > end) {
        this.#lose(`the container engine at ${host} does not answer any more: ${why}`);
        return false;
      }
      await delay(RETRY_MS, undefined, { signal: this.#closed.signal }).catch(() => undefined);
    }
    return false;
  }

  /** Number of containers that should be running but are not, or were restarted. */
  async #gone(): Promise<number> {
    const states = await Promise.all(
      this.options.running().map(async ({ id, startedAt }) => {
        const inspection = await bounded(this.options.docker.getContainer(id).inspect(), ATTEMPT_MS).catch(
          (error: unknown) => {
            if ((error as { statusCode?: number }).statusCode === 404) return null;
            throw error;
          },
        );
        return inspection?.State.Running === true && inspection.State.StartedAt === startedAt;
      }),
    );
    return states.filter((runs) => !runs).length;
  }
}
