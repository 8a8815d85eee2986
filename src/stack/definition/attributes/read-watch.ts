/** `develop.watch`: what happens when files of a service change while its stack is watched. */
import { resolve } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { realPath } from "../../../system/real-path.js";
import { WATCH_ACTIONS, type WatchRule } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";

const MOST_RULES = 50;

/** @param note receives a sentence for each rule that has no effect */
export function readWatch(
  reader: NodeReader | undefined,
  { service, folder, note }: { service: string; folder: string; note(text: string): void },
): WatchRule[] {
  if (!hasValue(reader)) return [];
  const { watch } = reader.fields(["watch"]);
  if (!hasValue(watch)) return [];
  const rules: WatchRule[] = [];
  const items = watch.list();
  if (items.length > MOST_RULES) watch.invalid(`has more than ${MOST_RULES} rules`, "Watch folders instead of files.");
  for (const item of items.slice(0, MOST_RULES)) {
    const fields = item.fields(["path", "action", "target", "ignore", "include", "initial_sync", "exec"]);
    const action = fields.action?.oneOf(WATCH_ACTIONS);
    const text = fields.path?.string("a path");
    const target = hasValue(fields.target) ? fields.target.string("an absolute path") : undefined;
    if (target !== undefined && !target.startsWith("/"))
      fields.target?.invalid("is not an absolute path", "Write the path in the container, such as /app/src.");
    if (fields.action === undefined || fields.path === undefined)
      item.invalid("needs path and action", `Write { path: ./src, action: ${WATCH_ACTIONS.join(" | ")} }.`);
    if (action === undefined || text === undefined) continue;
    const path = realPath(resolve(item.folder, text));
    if (!isBeneath(folder, path)) {
      note(`develop.watch of ${service} does not watch ${text}: it leads outside the project's folder.`);
      continue;
    }
    rules.push({
      path,
      action,
      ...(target === undefined ? {} : { target }),
      ignore: hasValue(fields.ignore) ? fields.ignore.listOrOne().flatMap((one) => one.string("a pattern") ?? []) : [],
      include: hasValue(fields.include)
        ? fields.include.listOrOne().flatMap((one) => one.string("a pattern") ?? [])
        : [],
    });
  }
  return rules;
}
