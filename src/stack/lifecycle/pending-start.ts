/** A start in progress with its request. Only calls with an equivalent request join it. */
import type { HealthReport, StackReport, StartRequest } from "../model.js";
import { SingleFlight } from "./single-flight.js";
import type { Reached } from "./stack-state.js";
import type { StartSteps } from "./supervisor.js";

/** State observed at the moment at which a start ended, before a later call can change it. */
export interface EndedStart {
  reached: Reached;
  /** What it changed in a running stack: one phrase for each change. */
  changes: string[];
  /** What `data_from` did, in a sentence; null without `data_from`. */
  data: string | null;
  health: HealthReport;
  after: StackReport;
}

const requestKey = (request: StartRequest): string => {
  const { profiles, files, services, without, stop, ports, autoPorts, limits, dataFrom } = request;
  return JSON.stringify([profiles, files, services, without, stop, ports, autoPorts, limits, dataFrom]);
};
const PLAIN_START = requestKey({ project: "" });

export class PendingStart {
  readonly call: SingleFlight<EndedStart>;
  /** Settles when the stack is open and its services begin to start. */
  readonly launched: Promise<void>;
  readonly #requestKey: string;
  /** True when the request names only some of the services. */
  readonly #partial: boolean;

  /** Time without a call until the stack stops, in milliseconds, and whether it follows its files: of the last caller. */
  lasting: Pick<StartRequest, "idleStopMs" | "watch">;

  constructor(request: StartRequest, actor: string, bringUp: (steps: StartSteps) => Promise<EndedStart>) {
    const { idleStopMs, watch } = request;
    this.lasting = { ...(idleStopMs === undefined ? {} : { idleStopMs }), ...(watch === undefined ? {} : { watch }) };
    this.#requestKey = requestKey(request);
    this.#partial = request.services !== undefined || request.without !== undefined || request.stop !== undefined;
    let launch = (): void => undefined;
    this.launched = new Promise<void>((resolve) => {
      launch = resolve;
    });
    this.call = new SingleFlight<EndedStart>(
      (signal, progress) => bringUp({ signal, actor, progress, launched: launch }),
      {
        cancellable: true,
        what: `start of ${request.project}`,
      },
    );
  }

  /**
   * True when this start satisfies the request. A request without options is satisfied by any complete start, and none
   * by a start that is cancelled.
   */
  serves(request: StartRequest): boolean {
    if (this.call.cancelled) return false;
    const key = requestKey(request);
    return key === this.#requestKey || (key === PLAIN_START && !this.#partial);
  }

  /** Takes what a call that joins this start requests for the time after it. */
  add({ idleStopMs, watch }: StartRequest): void {
    if (idleStopMs !== undefined) this.lasting.idleStopMs = idleStopMs;
    if (watch !== undefined) this.lasting.watch = watch;
  }
}

/** Names of the request's arguments, as callers write them. */
export function argumentsOf(request: StartRequest): string[] {
  const { profiles, files, services, without, ports, autoPorts, limits, dataFrom, watch, idleStopMs } = request;
  const given = {
    profiles,
    files,
    services,
    without,
    ports: ports ?? autoPorts,
    limits,
    data_from: dataFrom,
    watch,
    idle_stop: idleStopMs,
  };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
}
