/** Creates traces in the W3C Trace Context format, a new one for every start of a service. */
import { randomBytes } from "node:crypto";
import type { TraceContext } from "./types.js";

export const newTrace = (): TraceContext => ({
  traceId: randomBytes(16).toString("hex"),
  spanId: randomBytes(8).toString("hex"),
});

/** Header `traceparent`: version 00, sampled. */
export const traceparent = ({ traceId, spanId }: TraceContext): string => `00-${traceId}-${spanId}-01`;
