/**
 * Waits for a promise until the signal aborts. The operation behind the promise continues.
 * @throws the signal's reason
 */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  let leave = (): void => {};
  const left = new Promise<never>((_resolve, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
  });
  return Promise.race([promise, left]).finally(() => signal.removeEventListener("abort", leave));
}
