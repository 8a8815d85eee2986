/** Remembers which stacks one client started and are still that client's, for `--stop-on-exit`. */
import type { StackManager } from "../stack/model.js";

export interface OwnedStacks {
  /** The client's manager, watched. */
  manager: StackManager;
  projects(): string[];
  /** Forgets and watches no more. */
  close(): void;
}

export function ownedStacks(manager: StackManager): OwnedStacks {
  const owned = new Set<string>();
  // Stopped by anybody: whoever starts it next has it.
  const unsubscribe = manager.subscribe((change) => {
    if (change.kind === "events" && change.event?.type === "stack_stopped") owned.delete(change.project);
  });
  const start: StackManager["start"] = async (request, call) => {
    const outcome = await manager.start(request, call);
    // Who finds it running, or starting, has not started it.
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
