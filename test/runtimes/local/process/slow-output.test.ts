/** Output that arrives faster than the sink stores it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostFixture } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fixture.close();
});

describe("the output of a service", () => {
  it("a service with a slow sink waits for it up to a limit and loses no output", async () => {
    let asked = 0;
    const behind = () => {
      asked += 1;
      return asked === 1 ? new Promise<void>(() => undefined) : asked === 2 ? Promise.resolve() : null;
    };
    const sink = Object.assign(fixture.sink, { behind });
    const running = await fixture.shell("echo a; sleep 0.1; echo b; sleep 0.3; echo c", { sink });
    await running.exited;
    expect(fixture.sink.all).toBe("a\nb\nc\n");
    expect(asked).toBeGreaterThanOrEqual(2);
  });
});
