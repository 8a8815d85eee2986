/** A start under way, and what it was asked to do: only who wants the same joins it. */
import type { StartRequest } from "../model.js";
import { SingleFlight } from "./single-flight.js";
import type { Reached, StartSteps } from "./supervisor.js";

const wish = ({ profiles, files, services, without, ports, limits }: StartRequest): string =>
  JSON.stringify([profiles, files, services, without, ports, limits]);
const NO_WISH = wish({ project: "" });

export class PendingStart {
  readonly call: SingleFlight<Reached>;
  /** Settles when the stack is open and its services begin to start. */
  readonly launched: Promise<void>;
  readonly #wish: string;
  /** It starts some of the services. */
  readonly #partial: boolean;

  constructor(request: StartRequest, actor: string, bringUp: (steps: StartSteps) => Promise<Reached>) {
    this.#wish = wish(request);
    this.#partial = request.services !== undefined || request.without !== undefined;
    let launch = (): void => undefined;
    this.launched = new Promise<void>((resolve) => {
      launch = resolve;
    });
    this.call = new SingleFlight<Reached>(
      (signal, progress) => bringUp({ signal, actor, progress, launched: launch }),
      {
        cancellable: true,
        what: `start of ${request.project}`,
      },
    );
  }

  /** Whether it does what this request asks for; one that asks for nothing special takes any. */
  serves(request: StartRequest): boolean {
    const wanted = wish(request);
    return wanted === this.#wish || (wanted === NO_WISH && !this.#partial);
  }
}
