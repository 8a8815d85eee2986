/** Hints as requests of the REST API. */
import { type Notation, TOOL_NOTATION } from "../hint.js";
import { ROUTES } from "./routes.js";

/** Prefix of every path. */
const BASE = "/api/v1";

export const REQUEST_NOTATION: Notation = {
  call: (call) => {
    const { project, ...rest } = call.input;
    const service = rest.service;
    const routes = ROUTES.filter((route) => route.operation.name === call.operation);
    const route = routes.find(({ path }) => path.includes("{service}") === (typeof service === "string")) ?? routes[0];
    if (route === undefined) return TOOL_NOTATION.call(call);
    const path = route.path.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
      const value = name === "id" ? project : rest[name];
      if (value === undefined) return placeholder;
      delete rest[name];
      return encodeURIComponent(String(value));
    });
    const fields = Object.entries(rest);
    const request = `${route.method.toUpperCase()} ${BASE}${path}`;
    if (fields.length === 0) return request;
    if (route.method !== "get") return `${request} ${JSON.stringify(rest)}`;
    const query = fields.flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => [name, String(one)] as [string, string]),
    );
    return `${request}?${new URLSearchParams(query)}`;
  },
  setting: TOOL_NOTATION.setting,
};
