/** Server-sent events through fetch: EventSource cannot send the Authorization header. */

export interface ServerSentEvent {
  event: string;
  data: string;
  /** The most recent event id; empty before the first one. */
  id: string;
}

export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event, data: data.join("\n"), id };
          event = "";
          data = [];
          continue;
        }
        const [, field, text = ""] = /^(\w*)(?:: ?(.*))?$/.exec(line) ?? [];
        if (field === "id") id = text;
        else if (field === "event") event = text;
        else if (field === "data") data.push(text);
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
