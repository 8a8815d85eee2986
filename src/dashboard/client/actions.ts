/**
 * Sends actions to the server and reports their results. The page shows a change as done only when the server confirms
 * it.
 */
import { askForLimits, askToDelete, askToRestart, askToRestore, askToSave, askToStop } from "./dialogs.js";
import type { Notices } from "./notices.js";
import type { DataSource } from "./source.js";
import type { Snapshot, StackReport, StatsReport } from "./types.js";

export class Actions {
  readonly #busy = new Map<string, string>();

  /** @param changed called when an action begins and ends */
  constructor(
    private readonly source: DataSource,
    private readonly notices: Notices,
    private readonly changed: () => void,
  ) {}

  /** The operation in progress for a project, or for one of its services; null when there is none. */
  busy(project: string, service = ""): string | null {
    return this.#busy.get(`${project}/${service}`) ?? null;
  }

  start({ project }: StackReport): void {
    // The operation continues when the page closes; events report its result.
    void this.#run(project, "", "Starting…", `${project} was not started.`, async () => {
      const { message } = await this.source.call("start_stack", { project, wait: false });
      return message;
    });
  }

  stop({ project, services }: StackReport): void {
    askToStop(project, Object.keys(services), () => {
      void this.#run(project, "", "Stopping…", `${project} was not stopped.`, async () => {
        const { message } = await this.source.call("stop_stack", { project });
        return message;
      });
    });
  }

  startService({ project }: StackReport, service: string): void {
    void this.#run(project, service, "Starting…", `${service} was not started.`, async () => {
      const { message } = await this.source.call("start_stack", { project, services: [service], wait: false });
      return message;
    });
  }

  stopService({ project }: StackReport, service: string): void {
    askToStop(service, [service], () => {
      void this.#run(project, service, "Stopping…", `${service} was not stopped.`, async () => {
        const { message } = await this.source.call("stop_stack", { project, services: [service] });
        return message;
      });
    });
  }

  restart({ project, services }: StackReport, service: string): void {
    const dependents = Object.values(services)
      .filter((other) => other.depends_on.includes(service))
      .map((other) => other.service);
    askToRestart(service, dependents, (too) => {
      void this.#run(project, service, "Restarting…", `${service} was not restarted.`, async () => {
        const { message } = await this.source.call("restart_service", { project, service, dependents: too });
        return message;
      });
    });
  }

  limits({ project, services }: StackReport, service: string, stats: StatsReport | null): void {
    const report = services[service];
    if (report === undefined) return;
    askForLimits(report, stats?.services[service]?.stats ?? null, async (limits) => {
      const { message } = await this.source.call("set_limits", { project, service, ...limits });
      this.notices.done(message);
      this.changed();
    });
  }

  saveSnapshot({ project }: StackReport): void {
    askToSave(async (name) => {
      const input = name === "" ? { project } : { project, name };
      const { message } = await this.source.call("save_snapshot", input);
      this.notices.done(message);
      this.changed();
    });
  }

  restoreSnapshot({ project, state }: StackReport, snapshot: Snapshot): void {
    const isRunning = state !== "stopped" && state !== "lost";
    askToRestore(snapshot, isRunning, () => {
      const failed = `${snapshot.name} was not restored.`;
      void this.#run(project, "", "Restoring…", failed, async () => {
        if (isRunning) await this.source.call("stop_stack", { project });
        const input = { project, snapshot: snapshot.name, confirm: true };
        const { message } = await this.source.call("restore_snapshot", input);
        return message;
      });
    });
  }

  deleteSnapshot({ project }: StackReport, snapshot: Snapshot): void {
    askToDelete(snapshot, async () => {
      const input = { project, snapshot: snapshot.name, confirm: true };
      const { message } = await this.source.call("delete_snapshot", input);
      this.notices.done(message);
      this.changed();
    });
  }

  async #run(
    project: string,
    service: string,
    doing: string,
    failed: string,
    act: () => Promise<string>,
  ): Promise<void> {
    const key = `${project}/${service}`;
    this.#busy.set(key, doing);
    this.changed();
    try {
      this.notices.done(await act());
    } catch (error) {
      this.notices.failed(failed, error);
    } finally {
      this.#busy.delete(key);
      this.changed();
    }
  }
}
