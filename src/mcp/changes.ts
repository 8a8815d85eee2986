/** Change notifications of one connection: subscribed resources, the list of resources, and events as log messages. */
import type { LoggingLevel } from "@modelcontextprotocol/sdk/types.js";
import type { StackChange, StackEvent, StackManager } from "../stack/model.js";
import { EVENTS, type EventSeverity } from "../stack/vocabulary.js";
import { coalesce } from "./coalesce.js";
import { UNTRUSTED } from "./untrusted.js";
import { uriOf } from "./uris.js";

const LEVELS: readonly LoggingLevel[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

const LEVEL_OF: Record<EventSeverity, LoggingLevel> = {
  error: "error",
  warning: "warning",
  success: "info",
  info: "info",
};

export interface ChangeNotifier {
  resourceUpdated(uri: string): Promise<void>;
  resourceListChanged(): Promise<void>;
  message(params: {
    level: LoggingLevel;
    logger: string;
    data: unknown;
    _meta: Record<string, unknown>;
  }): Promise<void>;
}

export interface Changes {
  subscribe(uri: string): void;
  unsubscribe(uri: string): void;
  setLevel(level: LoggingLevel): void;
  /** Starts to follow this manager. A second call with the same manager does nothing. */
  follow(manager: StackManager): void;
  close(): void;
}

const LIST = "list";

export function followChanges(notifier: ChangeNotifier, gapMs: number): Changes {
  const subscribed = new Set<string>();
  let minimum = LEVELS.indexOf("info");
  let followed: StackManager | undefined;
  let closed = false;
  let stop: () => void = () => undefined;
  let list = "";
  // A notification that cannot be delivered to a disconnected client is dropped.
  const drop = (): void => undefined;
  const bursts = coalesce(gapMs, (key) => {
    const notification = key === LIST ? notifier.resourceListChanged() : notifier.resourceUpdated(key);
    notification.catch(drop);
  });

  const touch = (uri: string): void => {
    if (subscribed.has(uri)) bursts.touch(uri);
  };
  const touchList = (): void => {
    if (followed === undefined) return;
    const now = listKey(followed);
    if (now === list) return;
    list = now;
    bursts.touch(LIST);
  };
  const log = (event: StackEvent): void => {
    const level = LEVEL_OF[EVENTS[event.type]];
    if (LEVELS.indexOf(level) < minimum) return;
    const { project, service, type, message, seq, time, actor } = event;
    const data = { project, service, type, message, seq, time, actor };
    notifier.message({ level, logger: `stackwarden.${project}`, data, _meta: UNTRUSTED }).catch(drop);
  };
  const onChange = (change: StackChange): void => {
    if (change.kind === "projects") {
      touchList();
      return;
    }
    const { project } = change;
    if (change.kind === "logs") {
      touch(uriOf({ kind: "logs", project, service: change.service }));
      return;
    }
    // A service's state appears in both reports, so a change of either one updates both resources.
    if (change.kind === "stack" || change.kind === "health") {
      touch(uriOf({ kind: "stack", project }));
      touch(uriOf({ kind: "health", project }));
    }
    if (change.kind === "stack") touchList();
    if (change.kind === "events") touch(uriOf({ kind: "events", project }));
    if (change.event !== undefined) log(change.event);
  };

  return {
    subscribe: (uri) => subscribed.add(uri),
    unsubscribe: (uri) => {
      subscribed.delete(uri);
      bursts.forget(uri);
    },
    setLevel: (level) => {
      minimum = LEVELS.indexOf(level);
    },
    follow: (manager) => {
      // The connection can end while the manager is created; the subscription would then never end.
      if (closed || followed === manager) return;
      stop();
      followed = manager;
      list = listKey(manager);
      stop = manager.subscribe(onChange);
    },
    close: () => {
      closed = true;
      stop();
      followed = undefined;
      subscribed.clear();
      bursts.close();
    },
  };
}

const listKey = (manager: StackManager): string =>
  JSON.stringify(manager.projects().map((project) => [project, manager.services(project)]));
