/** Converts the `HEALTHCHECK` of an image to the domain's health check. */
import type { Healthcheck, HealthTest, HealthTimings } from "../../stack/definition/types.js";

/** As in the image's configuration (OCI, Docker). Durations in nanoseconds; absent or 0: the default. */
export interface ImageHealthcheck {
  Test?: string[];
  Interval?: number;
  Timeout?: number;
  Retries?: number;
  StartPeriod?: number;
  StartInterval?: number;
}

const MS = 1_000_000;
/** Docker's defaults, in milliseconds. */
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0, startIntervalMs: 5000 };

function testOf([kind, ...words]: readonly string[]): HealthTest | null {
  if (kind === "CMD" && words.length > 0) return { kind: "cmd", argv: words };
  return kind === "CMD-SHELL" && words[0] !== undefined ? { kind: "cmd-shell", command: words[0] } : null;
}

/**
 * @param timings of the compose file; they replace the image's
 * @returns null when the image has no check
 */
export function imageHealthcheck(image: ImageHealthcheck | null, timings?: HealthTimings): Healthcheck | null {
  const test = testOf(image?.Test ?? []);
  if (image === null || test === null) return null;
  const ms = (nanoseconds: number | undefined, usual: number): number =>
    nanoseconds === undefined || nanoseconds <= 0 ? usual : nanoseconds / MS;
  return {
    test,
    ...(timings ?? {
      intervalMs: ms(image.Interval, DEFAULTS.intervalMs),
      timeoutMs: ms(image.Timeout, DEFAULTS.timeoutMs),
      retries: image.Retries || DEFAULTS.retries,
      startPeriodMs: ms(image.StartPeriod, DEFAULTS.startPeriodMs),
      startIntervalMs: ms(image.StartInterval, DEFAULTS.startIntervalMs),
    }),
  };
}
