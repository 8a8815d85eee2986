/** What the parts of one connection share. */
import type { AnyOperation } from "../operations/index.js";
import type { StackManager } from "../stack/model.js";
import type { StackSettings } from "../stack/settings.js";

export interface McpLogger {
  error(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  debug(message: string, fields?: Record<string, unknown>): void;
}

export interface McpServerOptions {
  /** Called at the first request that needs a stack: `initialize` and `tools/list` are answered without it. */
  getManager(): Promise<StackManager>;
  /** Told the client's roots (URIs) before a manager is made and when they change; absent: the client is not asked. */
  useRoots?(uris: string[]): void;
  /** Default: all. */
  operations?: readonly AnyOperation[];
  /** Only operations that change nothing. Default false. */
  readOnly?: boolean;
  /** `off`: run_command is not offered. Default any. */
  commands?: StackSettings["commands"];
  /** Called for every call of an operation. The returned function gets its result: `ok`, or the error's code. */
  onCall?: (operation: string) => (result: string) => void;
  version: string;
  logger: McpLogger;
  /** Names this connection in events. Default: random. */
  sessionId?: string;
  /** Milliseconds between two notifications about one resource. Default 250: at most four a second. */
  coalesceMs?: number;
  /** Milliseconds between two progress notifications of a call that is silent itself. Default 4,000. */
  heartbeatMs?: number;
}
