import { expect, it } from "vitest";
import { imageHealthcheck } from "../../../src/runtimes/shared/image-healthcheck.js";

const TIMINGS = { intervalMs: 1, timeoutMs: 2, retries: 4, startPeriodMs: 5, startIntervalMs: 6 };

it("an image's health check has the image's timings and Docker's defaults", () => {
  expect(imageHealthcheck({ Test: ["CMD", "wget", "-q", "localhost"], Interval: 2e9, Retries: 5 })).toEqual({
    test: { kind: "cmd", argv: ["wget", "-q", "localhost"] },
    intervalMs: 2000,
    timeoutMs: 30_000,
    retries: 5,
    startPeriodMs: 0,
    startIntervalMs: 5000,
  });
});

it("the timings of the compose file replace all timings of the image", () => {
  expect(imageHealthcheck({ Test: ["CMD-SHELL", "true"], Interval: 2e9 }, TIMINGS)).toEqual({
    test: { kind: "cmd-shell", command: "true" },
    ...TIMINGS,
  });
});

it("an image without a health check or with a disabled one has none", () => {
  for (const check of [null, {}, { Test: ["NONE"] }, { Test: [] }, { Test: ["CMD"] }])
    expect(imageHealthcheck(check, TIMINGS)).toBeNull();
});
