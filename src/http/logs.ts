/** Logs over REST: as text, as lines, or as a stream of server-sent events. */
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import type { Response } from "express";
import { StackwardenError, toStackwardenError } from "../errors.js";
import type { LogReport } from "../stack/model.js";
import { REQUEST_NOTATION } from "./notation.js";

type Call = (input: Record<string, unknown>) => Promise<LogReport>;

/** Seconds of one wait for new lines. A comment follows each wait, so that a broken connection is detected. */
const WAIT_SECONDS = 15;

const textOf = ({ lines }: LogReport): string => lines.map((line) => line.text).join("\n");

export async function sendLogs(response: Response, format: unknown, service: unknown, page: LogReport): Promise<void> {
  if (format === "json") {
    response.json({ project_id: page.project, service, ...page });
    return;
  }
  if (format !== undefined && format !== "text")
    throw new StackwardenError("INVALID_INPUT", "Expected format to be text or json.", {
      hint: "Leave it out for text.",
    });
  response.json({
    project_id: page.project,
    service,
    logs: textOf(page),
    lines: page.lines.length,
    next_cursor: page.next_cursor,
    omitted: page.omitted,
  });
}

/** Streams lines until the client leaves. Each event's id is a cursor: `Last-Event-ID` resumes after it. */
export async function streamLogs(
  response: Response,
  call: Call,
  input: Record<string, unknown>,
  lastEventId: string | undefined,
  disconnected: AbortSignal,
): Promise<void> {
  let page = await call(lastEventId === undefined ? input : { ...input, cursor: lastEventId });
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  });
  const { tail: _tail, since: _since, until: _until, previous: _previous, ...filter } = input;
  // Wait for a slow client instead of buffering its output.
  const write = async (text: string): Promise<void> => {
    if (!response.write(text)) await once(response, "drain", { signal: disconnected });
  };
  try {
    while (!disconnected.aborted) {
      for (const line of page.lines) await write(`event: line\ndata: ${JSON.stringify(line)}\n\n`);
      // The cursor stands for all lines up to here.
      await write(`id: ${page.next_cursor}\nevent: cursor\ndata: {}\n\n`);
      // A flood must not keep other requests waiting.
      await setImmediate();
      page = await call({ ...filter, cursor: page.next_cursor, wait_seconds: WAIT_SECONDS });
    }
  } catch (error) {
    if (!disconnected.aborted)
      response.write(`event: error\ndata: ${JSON.stringify(toStackwardenError(error).report(REQUEST_NOTATION))}\n\n`);
  }
  response.end();
}
