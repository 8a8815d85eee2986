/** Snapshots of one project's volumes. They can be saved at any time, and restored while the stack is not running. */
import { StackwardenError, toStackwardenError, withHint } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { Mutex } from "../../system/mutex.js";
import { allVolumes } from "../definition/all-volumes.js";
import { forRuntime } from "../definition/for-runtime.js";
import type { StackDefinition } from "../definition/types.js";
import type { CallContext } from "../model.js";
import type { StackRuntime } from "../runtime.js";
import type { Snapshot, SnapshotOutcome } from "../schemas/snapshots.js";
import { SnapshotStore } from "../storage/snapshot-store.js";
import type { ProjectParts } from "./project-parts.js";
import { saveRedis } from "./redis-save.js";
import { saveFirst } from "./save-first.js";
import type { ServiceController } from "./service-controller.js";
import { type Stack, unknownService } from "./stack.js";

const MB = 1_048_576;
/** Bytes that a snapshot leaves free on the disk. */
const RESERVE_BYTES = 64 * MB;

export interface SaveRequest {
  /** Default: the current time in UTC. */
  name?: string;
  /** Saves only the volumes of this service. Default: all named volumes. */
  service?: string;
}

const size = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`;

/** `20260131-120000`, in UTC. */
const timeName = (now: Date): string =>
  now
    .toISOString()
    .replace(/\.\d+Z$/, "")
    .replaceAll(/[-:]/g, "")
    .replace("T", "-");

const volumesOf = (definition: StackDefinition, service: string): string[] =>
  (definition.services[service]?.mounts ?? []).flatMap((mount) => (mount.type === "volume" ? [mount.source] : []));

export class ProjectSnapshots {
  readonly #store: SnapshotStore;
  /** Allows one copy at a time, because each is checked against the free disk space. */
  readonly #copying = new Mutex();
  /** Number of readers of each snapshot that is being read. */
  readonly #read = new Map<string, number>();

  constructor(private readonly parts: ProjectParts) {
    this.#store = new SnapshotStore(`${parts.storage.directory}/snapshots`);
  }

  get #id(): string {
    return this.parts.storage.id;
  }

  /** The runtime of the project's last start; undefined when it never ran. */
  get #runtime(): StackRuntime | undefined {
    const { runtimes, storage } = this.parts;
    const last = storage.runtime;
    return runtimes.find(({ name }) => name === last);
  }

  list(): Promise<Snapshot[]> {
    return this.#store.list();
  }

  async save(request: SaveRequest, call: CallContext): Promise<SnapshotOutcome> {
    const begun = Date.now();
    const { supervisor, exclusive } = this.parts;
    for (;;) {
      if (supervisor.running !== null) {
        const { saved, missing } = await this.#saveRunning(supervisor.running, request, call);
        return this.#saved(saved, call, begun, missing);
      }
      const alone = await exclusive.run(call, "snapshot", (own) => this.saveStopped(request, own));
      if (alone === null) continue;
      if (alone.value !== null) return this.#saved(alone.value, call, begun);
      throw new StackwardenError("INVALID_INPUT", `${this.#id} has no data in named volumes.`, {
        hint: hint`Start it first: ${callTo("start_stack", { project: this.#id })}. Data outside of named volumes is not in snapshots.`,
      });
    }
  }

  async #saved(snapshot: Snapshot, call: CallContext, begun: number, missing = ""): Promise<SnapshotOutcome> {
    const volumes = Object.keys(snapshot.volumes).join(", ");
    const message = `Snapshot ${snapshot.name}: ${size(snapshot.bytes)} of ${volumes}.${missing}`;
    const { events } = await this.parts.storage.records();
    events.add({ type: "snapshot_saved", message, actor: call.actor, data: { snapshot: snapshot.name } });
    return { project: this.#id, message, snapshot, took_ms: Date.now() - begun };
  }

  /**
   * Saves the data of a stopped stack. The caller must prevent a start in the meantime.
   * @param request `volumes` are saved instead of the volumes of the current definition
   * @returns null when there is no data
   */
  saveStopped(
    request: SaveRequest & { automatic?: boolean; volumes?: readonly string[] },
    call: CallContext,
  ): Promise<Snapshot | null> {
    const { supervisor, settings } = this.parts;
    const runtime = this.#runtime;
    if (runtime === undefined) return Promise.resolve(null);
    const { service } = request;
    const save = async ({ definition }: { definition: StackDefinition }): Promise<Snapshot | null> => {
      const volumes = request.volumes ?? this.#volumes(definition, service);
      if (volumes.length === 0) return null;
      const saved = await this.#copy(runtime, volumes, request, call);
      if (saved.bytes > 0) return saved;
      await this.#store.remove(saved.name);
      return null;
    };
    return supervisor.withDefinition(settings(), save, service);
  }

  /** @returns the snapshot, and sentences about data that it may lack */
  async #saveRunning(
    stack: Stack,
    request: SaveRequest,
    call: CallContext,
  ): Promise<{ saved: Snapshot; missing: string }> {
    const { choice } = this.parts.supervisor;
    if (choice === null) throw new StackwardenError("INTERNAL", "An open stack has no runtime.");
    const { service } = request;
    const definition =
      service === undefined || Object.hasOwn(stack.definition.services, service)
        ? stack.definition
        : forRuntime(
            await this.parts.supervisor.definitionWith(service, this.parts.settings(), null),
            choice.runtime.name,
          );
    const volumes = this.#volumes(definition, service);
    const writers = [...stack.units.values()].filter((unit) =>
      volumesOf(stack.definition, unit.name).some((volume) => volumes.includes(volume)),
    );
    const { runtime } = choice;
    const faults = await Promise.all(
      writers.map(async (unit) => {
        const fault = await saveRedis(unit, runtime.name, call.signal);
        return fault === null ? "" : ` It may lack recent data of ${unit.name}: ${fault}.`;
      }),
    );
    const saved = await paused(writers, () => this.#copy(runtime, volumes, request, call));
    return { saved, missing: faults.join("") };
  }

  #volumes(definition: StackDefinition, service: string | undefined): string[] {
    if (service !== undefined && !Object.hasOwn(definition.services, service))
      throw unknownService(service, Object.keys(definition.services));
    const volumes = service === undefined ? allVolumes(definition) : volumesOf(definition, service);
    if (volumes.length > 0) return volumes;
    throw new StackwardenError("INVALID_INPUT", `${service ?? this.#id} has no named volume.`, {
      hint: "Only named volumes are in snapshots: give the service one in the compose file.",
    });
  }

  #copy(
    runtime: StackRuntime,
    volumes: readonly string[],
    request: SaveRequest & { automatic?: boolean },
    call: CallContext,
  ): Promise<Snapshot> {
    return this.#copying.run(async () => {
      const { automatic = false } = request;
      const name = request.name ?? (await this.#freeName());
      const maxBytes = await this.#room(name);
      const unfinished = await this.#store.begin();
      try {
        call.progress({ progress: 0, total: 0, message: `copying ${volumes.join(", ")}` });
        const copied = await runtime.copyVolumes({ ...this.#data(volumes, call.signal), maxBytes }, unfinished.data);
        const snapshot: Snapshot = {
          name,
          created_at: new Date().toISOString(),
          runtime: runtime.name,
          bytes: Object.values(copied).reduce((sum, bytes) => sum + bytes, 0),
          volumes: Object.fromEntries(volumes.map((volume) => [volume, copied[volume] ?? 0])),
          automatic,
        };
        await unfinished.finish(snapshot);
        return snapshot;
      } finally {
        await unfinished.discard();
      }
    });
  }

  #data(volumes: readonly string[], signal: AbortSignal) {
    const { storage, settings } = this.parts;
    return { projectId: storage.id, stateDir: storage.directory, volumes, signal, settings: settings() };
  }

  /** A name from the current time, with a number appended when a snapshot of this second exists. */
  async #freeName(): Promise<string> {
    const names = new Set((await this.#store.list()).map(({ name }) => name));
    const base = timeName(new Date());
    for (let count = 1; ; count += 1) {
      const name = count === 1 ? base : `${base}-${count}`;
      if (!names.has(name)) return name;
    }
  }

  /**
   * Maximum bytes of a new snapshot.
   * @throws SNAPSHOT_EXISTS, SNAPSHOT_TOO_LARGE
   */
  async #room(name: string): Promise<number> {
    const { maxCount, maxBytes } = this.parts.settings().snapshots;
    let all = await this.#store.list();
    if (all.some((one) => one.name === name))
      throw new StackwardenError("SNAPSHOT_EXISTS", `A snapshot named ${name} already exists.`, {
        hint: "Choose another name, or delete that one.",
      });
    const used = (): number => all.reduce((sum, { bytes }) => sum + bytes, 0);
    // Delete automatic snapshots, oldest first, to make room.
    while (all.length >= maxCount || used() >= maxBytes) {
      const oldest = all.find((one) => one.automatic && !this.#read.has(one.name));
      if (oldest === undefined) break;
      await this.#store.remove(oldest.name);
      all = all.filter((one) => one !== oldest);
    }
    if (all.length >= maxCount)
      throw new StackwardenError(
        "SNAPSHOT_TOO_LARGE",
        `${this.#id} has ${all.length} snapshots, the most that are kept.`,
        {
          hint: `Delete one of: ${all.map((one) => one.name).join(", ")}.`,
          details: { max_count: maxCount },
        },
      );
    const free = (await this.#store.free()) - RESERVE_BYTES;
    return Math.max(0, Math.min(free, maxBytes - used()));
  }

  /** Replaces this project's volumes with a snapshot. Their present data is saved in an automatic snapshot first. */
  async restore(name: string, call: CallContext): Promise<SnapshotOutcome> {
    const begun = Date.now();
    const { storage, exclusive, supervisor, settings } = this.parts;
    const { id } = storage;
    await this.#store.get(name);
    const alone = await exclusive.run(call, "restore", (own) =>
      supervisor.withDefinition(settings(), () =>
        this.reading(name, async (snapshot, data) => {
          await this.#requireRoom(snapshot);
          const saved = await saveFirst(() => this.#saveReplaced(snapshot, own), {
            what: "The data was not replaced",
            instead: "Or delete it first, without a snapshot: stop_stack with remove_volumes: true, snapshot: false.",
          });
          // The automatic snapshot can take the room, and is not needed when nothing changes.
          const runtime = await this.#requireRoom(snapshot).catch(async (error: unknown) => {
            if (saved !== null) await this.#store.remove(saved);
            throw error;
          });
          await this.#replace(runtime, snapshot, data, own).catch((error: unknown) => {
            throw saved === null ? error : withSaved(toStackwardenError(error), saved);
          });
          await storage.keepRuntime(snapshot.runtime);
          return { snapshot, saved };
        }),
      ),
    );
    if (alone === null)
      throw new StackwardenError("STACK_RUNNING", `The stack of ${id} is running: its data is in use.`, {
        hint: hint`Stop it first: ${callTo("stop_stack", { project: id })}.`,
      });
    const { snapshot, saved } = alone.value;
    const before = saved === null ? "" : ` The data before is in the snapshot ${saved}.`;
    const message = `${Object.keys(snapshot.volumes).join(", ")}: restored from the snapshot ${name} of ${snapshot.created_at}.${before}`;
    const replaced = saved === null ? {} : { replaced: saved };
    const { events } = await storage.records();
    events.add({ type: "snapshot_restored", message, actor: call.actor, data: { snapshot: name, ...replaced } });
    return { project: id, message, snapshot, ...replaced, took_ms: Date.now() - begun };
  }

  /** @returns null when the snapshot's volumes have no data now */
  async #saveReplaced({ runtime: name, volumes: restored }: Snapshot, call: CallContext): Promise<Snapshot | null> {
    const runtime = this.parts.runtimes.find((one) => one.name === name);
    const volumes = Object.keys(restored);
    if (runtime === undefined || !(await this.#haveData(runtime, volumes, call.signal))) return null;
    return this.#copy(runtime, volumes, { automatic: true }, call);
  }

  /**
   * Prevents the deletion of a snapshot while `work` reads it.
   * @throws UNKNOWN_SNAPSHOT
   */
  async reading<T>(name: string, work: (snapshot: Snapshot, data: string) => Promise<T>): Promise<T> {
    const snapshot = await this.#store.get(name);
    this.#read.set(name, (this.#read.get(name) ?? 0) + 1);
    try {
      return await work(snapshot, this.#store.dataOf(name));
    } finally {
      const left = (this.#read.get(name) ?? 1) - 1;
      if (left > 0) this.#read.set(name, left);
      else this.#read.delete(name);
    }
  }

  /** Replaces this project's volumes with a snapshot of this project or another one. The stack must not be running. */
  async receive(snapshot: Snapshot, data: string, call: CallContext): Promise<void> {
    await this.#replace(await this.#requireRoom(snapshot), snapshot, data, call);
  }

  /**
   * @returns the snapshot's runtime
   * @throws UNSUPPORTED, SNAPSHOT_TOO_LARGE when the disk has no room for a copy of the snapshot
   */
  async #requireRoom(snapshot: Snapshot): Promise<StackRuntime> {
    const runtime = this.parts.runtimes.find((one) => one.name === snapshot.runtime);
    if (runtime === undefined)
      throw new StackwardenError("UNSUPPORTED", `The snapshot was saved on the ${snapshot.runtime} runtime.`, {
        hint: "Restore it where that runtime is available.",
      });
    const free = (await this.#store.free()) - RESERVE_BYTES;
    if (snapshot.bytes > free)
      throw new StackwardenError(
        "SNAPSHOT_TOO_LARGE",
        `The disk has room for ${size(Math.max(0, free))}, the snapshot has ${size(snapshot.bytes)}.`,
        {
          hint: "Delete snapshots, or free space on the state directory's disk.",
        },
      );
    return runtime;
  }

  async #replace(runtime: StackRuntime, snapshot: Snapshot, data: string, call: CallContext): Promise<void> {
    call.progress({ progress: 0, total: 0, message: `restoring ${Object.keys(snapshot.volumes).join(", ")}` });
    const volumes = Object.keys(snapshot.volumes);
    await runtime.restoreVolumes(this.#data(volumes, call.signal), data);
    const filled = volumes.filter((volume) => (snapshot.volumes[volume] ?? 0) > 0);
    const empty = volumes.filter((volume) => !filled.includes(volume));
    await this.parts.storage.volumes(runtime.name).keep({ filled, empty });
  }

  async delete(name: string, call: CallContext): Promise<SnapshotOutcome> {
    const begun = Date.now();
    const snapshot = await this.#store.get(name);
    if (this.#read.has(name))
      throw new StackwardenError("SNAPSHOT_BUSY", `The snapshot ${name} is being restored.`, {
        hint: "Wait until the restore has ended, then call again.",
      });
    await this.#store.remove(name);
    const message = `The snapshot ${name} (${size(snapshot.bytes)}) was deleted.`;
    const { events } = await this.parts.storage.records();
    events.add({ type: "snapshot_deleted", message, actor: call.actor, data: { snapshot: name } });
    return { project: this.#id, message, snapshot, took_ms: Date.now() - begun };
  }

  /** True when a named volume contains a file that is not empty. The stack must not be running. */
  async hasData(): Promise<boolean> {
    const { supervisor, settings } = this.parts;
    const runtime = this.#runtime;
    if (runtime === undefined) return false;
    return supervisor.withDefinition(settings(), ({ definition }) =>
      this.#haveData(runtime, allVolumes(definition), new AbortController().signal),
    );
  }

  /** True when one of the volumes contains a file that is not empty. */
  async #haveData(runtime: StackRuntime, volumes: readonly string[], signal: AbortSignal): Promise<boolean> {
    if (volumes.length === 0) return false;
    const unfinished = await this.#store.begin();
    try {
      await runtime.copyVolumes({ ...this.#data(volumes, signal), maxBytes: 0 }, unfinished.data);
      return false;
    } catch (error) {
      if (error instanceof StackwardenError && error.code === "SNAPSHOT_TOO_LARGE") return true;
      throw error;
    } finally {
      await unfinished.discard();
    }
  }

  /**
   * Copies the current data for the duration of `work`.
   * @returns null when there is no data
   */
  async withPresent<T>(call: CallContext, work: (snapshot: Snapshot, data: string) => Promise<T>): Promise<T | null> {
    const name = `copy-${timeName(new Date())}-${process.pid}`;
    const saved = await this.save({ name }, call).catch((error: unknown) => {
      if (error instanceof StackwardenError && error.code === "INVALID_INPUT") return null;
      throw error;
    });
    if (saved === null) return null;
    try {
      return await this.reading(name, work);
    } finally {
      await this.#store.remove(name);
    }
  }
}

/** A failure after the save of the present data; volumes can be replaced in part. */
const withSaved = (error: StackwardenError, saved: string): StackwardenError =>
  withHint(error, [...error.hintParts, { text: ` The data before this call is in the snapshot ${saved}.` }]);

/** Pauses all services during `work`. No service is started, stopped or restarted in the meantime. */
async function paused<T>(units: readonly ServiceController[], work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = units;
  if (first === undefined) return work();
  return first.serial.run(() => first.whilePaused(() => paused(rest, work)));
}
