import * as z from "zod";
import { eventPage } from "../stack/schemas/events.js";
import { EVENT_TYPES } from "../stack/vocabulary.js";
import { defined, integer, listOf, project, service, waitSeconds } from "./fields.js";
import { defineOperation } from "./operation.js";

export const getEvents = defineOperation({
  name: "get_events",
  title: "Get events",
  description: [
    "Read what happened to a project's stack and who asked for it: starts, health changes, crashes with exit code, restarts, limits, retries.",
    "When: to explain why a service is not the same as before. For what services printed use get_logs.",
    "after (the next_cursor of the last answer) gives only later events; wait_seconds waits for the first of them.",
    "Returns {events: [{seq, time, type, service, message, actor, data}], next_cursor, omitted}, oldest first.",
    'Example: {"project": "shop", "types": ["service_crashed", "restart_given_up"], "limit": 20}',
  ].join("\n"),
  input: z.strictObject({
    project,
    after: integer(0, Number.MAX_SAFE_INTEGER, "Only events later than this next_cursor.").optional(),
    limit: integer(1, 1000, "How many of the newest events.").default(100),
    service: service.optional(),
    types: listOf(EVENT_TYPES, "Only these.").optional(),
    wait_seconds: waitSeconds("How long to wait for an event when there is none.").default(0),
  }),
  output: eventPage,
  annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: true },
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
