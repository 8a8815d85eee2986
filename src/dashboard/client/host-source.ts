/** Data source for an MCP App: every request and action is a tool call that the host forwards. */
import type { HostBridge } from "./host-bridge.js";
import { type CommandPolicy, type DataSource, Failure, type LogFilter, logInput, sleep, startInput } from "./source.js";
import type { Answers, Input, LogLine, LogReport, OperationName } from "./types.js";

/** Interval between two log requests. Hosts can forward calls one at a time, so no call waits for new lines. */
const LOOK_MS = 1500;

interface ToolResult {
  isError?: boolean;
  structuredContent?: Record<string, unknown>;
  content?: { type: string; text?: string }[];
}

export class HostSource implements DataSource {
  readonly waitSeconds = 0;
  /** The sandbox of a host permits no downloads. */
  readonly canDownload = false;
  readonly commandSeconds = 50;

  constructor(
    private readonly bridge: HostBridge,
    readonly mayChange: boolean,
    readonly commands: CommandPolicy,
  ) {}

  async #tool(name: string, args: Input): Promise<Record<string, unknown>> {
    const result = (await this.bridge.request("tools/call", {
      name,
      // Tools give agents brief results by default; the page needs the full result.
      arguments: { ...args, detail: true },
    })) as ToolResult;
    // Some hosts drop the structured result. The text content holds the same JSON.
    const answer = result.structuredContent ?? parsed(result.content?.[0]?.text);
    if (result.isError === true || answer === null)
      throw Failure.of(answer, result.content?.[0]?.text ?? "The host returned no JSON result.");
    return answer;
  }

  call<Name extends OperationName>(operation: Name, input: Input): Promise<Answers[Name]> {
    return this.#tool(operation, input) as unknown as Promise<Answers[Name]>;
  }

  async followLogs(filter: LogFilter, onLines: (lines: LogLine[]) => void, signal: AbortSignal): Promise<void> {
    let position = startInput(filter);
    while (!signal.aborted) {
      const page = (await this.#tool("get_logs", {
        ...logInput(filter),
        ...position,
      } as Input)) as unknown as LogReport;
      if (signal.aborted) return;
      onLines(page.lines);
      position = { cursor: page.next_cursor };
      await sleep(LOOK_MS, signal);
    }
  }

  openLink(url: string): boolean {
    if (this.bridge.capabilities.openLinks === undefined) return false;
    this.bridge.request("ui/open-link", { url }).catch(() => undefined);
    return true;
  }
}

function parsed(text: string | undefined): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}
