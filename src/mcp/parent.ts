/** Notices that the process that started us is gone: its children are given to another one, usually process 1. */

/** @returns a function that ends the watch */
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
