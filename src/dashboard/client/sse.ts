/** Server-sent events through fetch: EventSource cannot send the Authorization header. */
import { EventSourceParserStream } from "eventsource-parser/stream";

export interface ServerSentEvent {
  event: string;
  data: string;
  /** The most recent event id; empty before the first one. */
  id: string;
}

export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  let lastId = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const { event = "", data, id = lastId } = value;
      lastId = id;
      yield { event, data, id };
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
