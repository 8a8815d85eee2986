/** Exclusive work on a project whose stack is not running: no start runs in parallel, and a stop cancels the work. */
import { StackwardenError } from "../../errors.js";
import type { CallContext } from "../model.js";
import { SingleFlight } from "./single-flight.js";

export interface ExclusiveOf {
  id: string;
  isOpen(): boolean;
  /** A start or stop in progress. */
  changing(): SingleFlight<unknown> | undefined;
}

export class Exclusive {
  /** The work in progress. */
  current: SingleFlight<unknown> | null = null;

  constructor(private readonly of: ExclusiveOf) {}

  /**
   * Waits for operations in progress, then runs the task unless the stack is open by then.
   * @returns null when the stack is open
   */
  async run<T>(call: CallContext, what: string, task: (call: CallContext) => Promise<T>): Promise<{ value: T } | null> {
    for (;;) {
      if (this.of.isOpen()) return null;
      const first: SingleFlight<unknown> | undefined = this.of.changing() ?? this.current ?? undefined;
      if (first === undefined) break;
      await first.join(call).catch((error: unknown) => {
        // A failure of the other operation is reported to its own callers.
        if (call.signal.aborted) throw error;
      });
    }
    const alone = new SingleFlight<T>(
      async (signal, progress) => {
        try {
          return await task({ ...call, signal, progress });
        } finally {
          this.current = null;
        }
      },
      { cancellable: true, what: `${what} of ${this.of.id}` },
    );
    this.current = alone;
    const joined = await alone.join(call);
    if (joined.done) return { value: joined.value };
    throw new StackwardenError("INTERNAL", `The ${what} of ${this.of.id} ended without a result.`);
  }

  async cancel(): Promise<void> {
    this.current?.cancel(undefined);
    await this.current?.settled;
  }
}
