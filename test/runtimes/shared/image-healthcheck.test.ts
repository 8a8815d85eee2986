import { expect, it } from "vitest";
import { imageHealthcheck } from "../../../src/runtimes/shared/image-healthcheck.js";

const TIMINGS = { intervalMs: 1, timeoutMs: 2, retries: 4, startPeriodMs: 5, startIntervalMs: 6 };

it("the image's check has the image's timings, Docker's for those that it leaves open", () => {
  expect(imageHealthcheck({ Test: ["CMD", "wget", "-q", "localhost"], Interval: 2e9, Retries: 5 })).toEqual({
    test: { kind: "cmd", argv: ["wget", "-q", "localhost"] },
    intervalMs: 2000,
    timeoutMs: 30_000,
    retries: 5,
    startPeriodMs: 0,
    startIntervalMs: 5000,
  });
});

it("timings of the compose file take the place of all of the image's", () => {
  expect(imageHealthcheck({ Test: ["CMD-SHELL", "true"], Interval: 2e9 }, TIMINGS)).toEqual({
    test: { kind: "cmd-shell", command: "true" },
    ...TIMINGS,
  });
});

it("an image without a check, or whose check is switched off, has none", () => {
  for (const check of [null, {}, { Test: ["NONE"] }, { Test: [] }, { Test: ["CMD"] }])
    expect(imageHealthcheck(check, TIMINGS)).toBeNull();
});
