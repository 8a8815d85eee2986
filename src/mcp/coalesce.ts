/**
 * Rate limiter for bursts: passes the first call at once, and merges the following ones into a single call after a
 * fixed time.
 */
export interface Coalescer {
  touch(key: string): void;
  forget(key: string): void;
  close(): void;
}

/** @param gapMs milliseconds between two calls of `emit` for one key */
export function coalesce(gapMs: number, emit: (key: string) => void): Coalescer {
  const waiting = new Map<string, { timer: NodeJS.Timeout; again: boolean }>();
  const fire = (key: string): void => {
    const timer = setTimeout(() => {
      const entry = waiting.get(key);
      waiting.delete(key);
      if (entry?.again) fire(key);
    }, gapMs);
    timer.unref();
    waiting.set(key, { timer, again: false });
    emit(key);
  };
  const forget = (key: string): void => {
    clearTimeout(waiting.get(key)?.timer);
    waiting.delete(key);
  };
  return {
    touch: (key) => {
      const entry = waiting.get(key);
      if (entry === undefined) fire(key);
      else entry.again = true;
    },
    forget,
    close: () => {
      for (const key of [...waiting.keys()]) forget(key);
    },
  };
}
