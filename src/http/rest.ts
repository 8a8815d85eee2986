/** `/api/v1`: the operations for programs. */
import express, { type Request, type RequestHandler, type Response, type Router } from "express";
import { StackwardenError, toStackwardenError } from "../errors.js";
import { getLogs } from "../operations/get-logs.js";
import { type AnyOperation, invoke, parseInput } from "../operations/index.js";
import { listStacks } from "../operations/list-stacks.js";
import type { RestRoute } from "../operations/operation.js";
import { startStack } from "../operations/start-stack.js";
import { stopStack } from "../operations/stop-stack.js";
import type { CallContext, LogReport, StackManager, StackReport } from "../stack/model.js";
import type { StackSettings } from "../stack/settings.js";
import { inputOf } from "./input.js";
import { sendLogs, streamLogs } from "./logs.js";
import { openApiDocument } from "./openapi.js";
import { principalOf, type Scope } from "./principal.js";
import { answerOf, ROUTES } from "./routes.js";

export interface RestOptions {
  getManager(): Promise<StackManager>;
  readOnly: boolean;
  commands: StackSettings["commands"];
  version: string;
  /** Called at the start of every call. @returns a function that takes the call's result */
  onCall(operation: string): (result: string) => void;
  /** Aborts at shutdown, which ends event streams. */
  ending: AbortSignal;
}

const BODY_LIMIT = "256kb";

/** A signal that aborts when the client disconnects before its response, or has already disconnected. */
function goneSignal(response: Response): AbortSignal {
  const disconnected = new AbortController();
  const onDisconnect = (): void => {
    if (!response.writableFinished) disconnected.abort();
  };
  if (response.closed) onDisconnect();
  else response.once("close", onDisconnect);
  return disconnected.signal;
}

export function restRouter(options: RestOptions): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  const call = async (
    request: Request,
    operation: AnyOperation,
    input: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> => {
    const { name, scope } = principalOf(request);
    const finishCall = options.onCall(operation.name);
    try {
      const result = await permitted(name, scope, operation, input, signal);
      finishCall("ok");
      return result;
    } catch (error) {
      finishCall(toStackwardenError(error).code);
      throw error;
    }
  };
  const permitted = async (
    name: string,
    scope: Scope,
    operation: AnyOperation,
    input: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> => {
    if (scope === "read" && !operation.annotations.readOnly)
      throw new StackwardenError(
        "FORBIDDEN",
        `The token ${name} has the scope read; ${operation.name} requires operate.`,
        {
          hint: "Use a token of scope operate.",
          details: { required_scope: "operate" },
        },
      );
    const context: Omit<CallContext, "signal"> = { actor: `rest#${name}`, progress: () => undefined };
    return invoke(operation, input, async () => ({ ...context, signal, manager: await options.getManager() }), {
      readOnly: options.readOnly,
    }) as Promise<Record<string, unknown>>;
  };

  router.use((request, _response, next) => {
    const { "content-type": type, "content-length": length, "transfer-encoding": chunked } = request.headers;
    const hasBody = chunked !== undefined || (length !== undefined && length !== "0");
    if (hasBody && !/^application\/json\s*(;|$)/i.test(type ?? ""))
      throw new StackwardenError("UNSUPPORTED_MEDIA_TYPE", "Expected a body of type application/json.", {
        hint: "Send the header `Content-Type: application/json`.",
      });
    next();
  });
  /** The methods that each path takes. */
  const methods = new Map<string, string[]>();
  const route = (method: RestRoute["method"], path: string, handler: RequestHandler): void => {
    router[method](path, handler);
    methods.set(path, [...(methods.get(path) ?? []), method.toUpperCase()]);
  };
  router.use(express.json({ limit: BODY_LIMIT, strict: true, inflate: false }));
  // Name and scope of the token and the permitted commands, for clients that offer only permitted actions.
  route("get", "/access", (request, response) => {
    const { name, scope } = principalOf(request);
    const { readOnly, commands, version } = options;
    response.json({ name, scope: readOnly ? "read" : scope, commands, version });
  });
  route("get", "/openapi.json", (_request, response) => {
    response.json(openApiDocument(options.version));
  });

  const project = async (request: Request, response: Response): Promise<StackReport> => {
    const { stacks } = (await call(request, listStacks, {}, goneSignal(response))) as { stacks: StackReport[] };
    const report = stacks.find((stack) => stack.project === request.params.id);
    if (report !== undefined) return report;
    throw new StackwardenError("UNKNOWN_PROJECT", "No project has this id.", {
      hint: `Known: ${stacks.map((stack) => stack.project).join(", ") || "none yet"}.`,
    });
  };
  route("get", "/projects/:id", async (request, response) => {
    response.json(await project(request, response));
  });
  route("get", "/projects/:id/status", async (request, response) => {
    response.json(await project(request, response));
  });
  route("post", "/projects/:id/restart", async (request, response) => {
    const signal = goneSignal(response);
    const input = inputOf(request);
    // Validate all services before any of them is stopped.
    parseInput(startStack, input);
    const stopped = await call(request, stopStack, { project: input.project }, signal);
    // A stopped service is started again even when the client has disconnected, so that no restart ends half-way.
    const started = await call(request, startStack, input, new AbortController().signal);
    response.json({ ...answerOf(startStack, started, input), before: stopped.before });
  });

  const logs = async (request: Request, response: Response, signal: AbortSignal): Promise<void> => {
    const { format, follow } = request.query;
    const input = inputOf(request, ["format", "follow"]);
    if (follow !== undefined && follow !== "true" && follow !== "false")
      throw new StackwardenError("INVALID_INPUT", "Expected follow to be true or false.", {
        hint: "Leave it out to get the stored lines.",
      });
    const query = async (one: Record<string, unknown>, until: AbortSignal): Promise<LogReport> =>
      (await call(request, getLogs, one, until)) as unknown as LogReport;
    if (follow !== "true") return sendLogs(response, format, request.params.service, await query(input, signal));
    const stop = AbortSignal.any([signal, options.ending]);
    return streamLogs(response, (one) => query(one, stop), input, request.get("last-event-id"), stop);
  };
  for (const { method, path, operation } of ROUTES)
    route(method, path.replace(/\{(\w+)\}/g, ":$1"), async (request, response) => {
      const signal = goneSignal(response);
      if (operation === getLogs) return logs(request, response, signal);
      const input = inputOf(request);
      const result = await call(request, operation, input, signal);
      response.json(answerOf(operation, result, input));
      return undefined;
    });
  for (const [path, allowed] of methods)
    router.all(path, (_request, response) => {
      response.setHeader("Allow", allowed.join(", "));
      throw new StackwardenError("METHOD_NOT_ALLOWED", `This path takes ${allowed.join(", ")}.`);
    });
  return router;
}
