/** Telemetry of a session; see telemetry.mjs. */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Span {
  traceId: string;
  spanId: string;
}

export class Telemetry {
  constructor(engine: { faults(): object; take(name: string, times?: number): boolean });
  span(
    parent: Span,
    name: string,
    options?: { links?: Span[]; scope?: string },
  ): Span & { event(label: string, attributes: object[]): void; end(failed?: string): void };
  /** Messages of the engine itself. */
  say(target: Span, message: string): void;
  output(target: Span, stream: 1 | 2, chunk: Buffer): void;
  eof(target: Span, stream: 1 | 2): void;
  serve(kind: "logs" | "spans", request: IncomingMessage, response: ServerResponse): Promise<unknown>;
  end(): void;
}
