/** `restart`, else `deploy.restart_policy`, as Docker Compose maps it. */

import type { RestartPolicy } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";

const MOST_RETRIES = 10_000;

export function readRestart(reader: NodeReader | undefined, deploy: NodeReader | undefined): RestartPolicy {
  if (!hasValue(reader)) return hasValue(deploy) ? readDeployPolicy(deploy) : { policy: "no" };
  const text = reader.string("a restart policy") ?? "no";
  const [, retries] = /^on-failure:(\d{1,4})$/.exec(text) ?? [];
  if (retries !== undefined) return { policy: "on-failure", maxRetries: Number(retries) };
  // Users write `no` unquoted, which YAML 1.1 tools read as the boolean false.
  if (text === "false" || text === "") return { policy: "no" };
  return { policy: reader.oneOf(["no", "always", "on-failure", "unless-stopped"]) ?? "no" };
}

function readDeployPolicy(reader: NodeReader): RestartPolicy {
  const fields = reader.fields(["condition", "delay", "max_attempts", "window"]);
  const condition = hasValue(fields.condition) ? fields.condition.string("a condition") : "any";
  const maxRetries = hasValue(fields.max_attempts) ? fields.max_attempts.number(0, MOST_RETRIES) : undefined;
  if (condition === "none" || condition === "no") return { policy: "no" };
  if (condition === "unless-stopped") return { policy: "unless-stopped" };
  if (condition === "on-failure")
    return { policy: "on-failure", ...(maxRetries === undefined || maxRetries === 0 ? {} : { maxRetries }) };
  if (condition !== "any" && condition !== "always" && condition !== undefined)
    fields.condition?.invalid("is not a condition of a restart", "Write none, on-failure, any or unless-stopped.");
  return { policy: "always" };
}
