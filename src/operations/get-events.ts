import * as z from "zod";
import { eventPage } from "../stack/schemas/events.js";
import { EVENT_TYPES } from "../stack/vocabulary.js";
import { briefEvents } from "./brief/reports.js";
import { defined, integer, listOf, project, service, waitSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const getEvents = defineOperation({
  name: "get_events",
  title: "Get events",
  description: [
    "List what happened to a stack and who requested it: starts, health changes, crashes, restarts, limits.",
    "Use it to find out why a service changed state.",
    'Example: {"project": "shop", "types": ["service_crashed"]}',
  ].join("\n"),
  input: z.strictObject({
    project,
    after: integer(0, Number.MAX_SAFE_INTEGER, "next_cursor of an earlier answer.").optional(),
    limit: integer(1, 1000, "Newest events.").default(100),
    service: service.optional(),
    types: listOf(EVENT_TYPES, "Such as service_crashed, restart_given_up.").optional(),
    wait_seconds: waitSeconds("Wait for an event.").default(0),
  }),
  output: eventPage,
  brief: briefEvents,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: true },
  command: { name: "events", options: { limit: "--limit", service: "--service", types: "--type" } },
  rest: [{ method: "get", path: "/projects/{id}/events", summary: "What happened." }],
  run: (input, { manager, signal }) =>
    manager.events(
      defined({
        project: input.project,
        after: input.after,
        limit: input.limit,
        service: input.service,
        types: input.types,
        waitMs: input.wait_seconds > 0 ? input.wait_seconds * 1000 : undefined,
        signal,
      }),
    ),
});
