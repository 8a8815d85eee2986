/** Tracks the stacks that one client started and still owns, for `--stop-on-exit`. */
import type { StackManager } from "../stack/model.js";

export interface OwnedStacks {
  /** The client's manager; starts through it are tracked. */
  manager: StackManager;
  projects(): string[];
  /** Stops tracking. */
  close(): void;
}

export function ownedStacks(manager: StackManager): OwnedStacks {
  const owned = new Set<string>();
  // After a stop by any client, the next client that starts the stack owns it.
  const unsubscribe = manager.subscribe((change) => {
    if (change.kind === "events" && change.event?.type === "stack_stopped") owned.delete(change.project);
  });
  const start: StackManager["start"] = async (request, call) => {
    const outcome = await manager.start(request, call);
    // A client that joins a running or starting stack does not own it.
    if (outcome.before.state === "stopped" || outcome.before.state === "lost") owned.add(request.project);
    return outcome;
  };
  const watched = new Proxy(manager, {
    get: (target, name) => {
      if (name === "start") return start;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return {
    manager: watched,
    projects: () => [...owned],
    close: () => {
      owned.clear();
      unsubscribe();
    },
  };
}
