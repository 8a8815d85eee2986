/** State that the parts of one connection share. */
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
  /** Called by the first request that needs a stack; `initialize` and `tools/list` are answered without it. */
  getManager(): Promise<StackManager>;
  /**
   * Called with the client's roots (URIs) before a manager is created and whenever they change. Absent: the client's
   * roots are not requested.
   */
  useRoots?(uris: string[]): void;
  /** Operations that are offered. Default: all. */
  operations?: readonly AnyOperation[];
  /** Offers only operations that change nothing. Default false. */
  readOnly?: boolean;
  /** `off` hides run_command. Default: any other value offers it. */
  commands?: StackSettings["commands"];
  /**
   * Called at the start of every operation. The returned function is called with the result: `ok`, or the code of the
   * error.
   */
  onCall?: (operation: string) => (result: string) => void;
  version: string;
  logger: McpLogger;
  /** Identifies this connection in events. Default: random. */
  sessionId?: string;
  /** Milliseconds between two notifications about one resource. Default 250 (at most four a second). */
  coalesceMs?: number;
  /** Milliseconds after which the last progress message of a silent call is repeated. Default 4,000. */
  heartbeatMs?: number;
}
