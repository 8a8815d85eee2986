/**
 * Progress notifications of one call. Clients give up on a silent call, so the last message is repeated when there is
 * no new one. The protocol requires the number to increase each time, so a repeated message increases it by a tiny
 * amount.
 */
import type { Progress } from "../stack/model.js";

export interface ProgressReporter {
  report(progress: Progress): void;
  /** Stops the notifications; the answer follows. */
  stop(): void;
}

export interface ProgressParams {
  progressToken: string | number;
  progress: number;
  total?: number;
  message: string;
}

const STEP = 0.001;

export function reportProgress(
  progressToken: string | number | undefined,
  send: (params: ProgressParams) => Promise<void>,
  heartbeatMs: number,
  what: string,
): ProgressReporter {
  if (progressToken === undefined) return { report: () => undefined, stop: () => undefined };
  let last: Progress = { progress: 0, total: 0, message: `${what}: under way` };
  let lastProgress = -STEP;
  let stopped = false;
  const begin = Date.now();
  const notify = (message: string): void => {
    if (stopped) return;
    lastProgress = last.progress > lastProgress ? last.progress : lastProgress + STEP;
    const total = last.total > 0 ? { total: Math.max(last.total, lastProgress) } : {};
    // Notifications to a disconnected client are dropped; the end of the call is handled elsewhere.
    send({ progressToken, progress: lastProgress, ...total, message }).catch(() => undefined);
    timer.refresh();
  };
  const timer = setInterval(() => {
    notify(`${last.message} (${Math.round((Date.now() - begin) / 1000)} s)`);
  }, heartbeatMs);
  timer.unref();
  return {
    report: (progress) => {
      if (progress.message === last.message && progress.progress <= last.progress) return;
      last = progress;
      notify(progress.message);
    },
    stop: () => {
      stopped = true;
      clearInterval(timer);
    },
  };
}
