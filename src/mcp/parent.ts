/** Detects that the parent process is gone. The system then gives its children another parent, usually process 1. */

/** @returns a function that stops the watch */
export function watchParent(
  onGone: () => void,
  everyMs: number,
  parentId: () => number = () => process.ppid,
): () => void {
  const first = parentId();
  const timer = setInterval(() => {
    if (parentId() === first) return;
    clearInterval(timer);
    onGone();
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
