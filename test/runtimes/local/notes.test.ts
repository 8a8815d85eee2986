import { afterAll, expect, it } from "vitest";
import { Fixture, service } from "./support/fixture.js";

const fixture = new Fixture();
afterAll(() => fixture.close());

it("says which keys of a compose file have no effect here", async () => {
  const app = service("app", {
    readOnly: true,
    init: true,
    mounts: [{ type: "tmpfs", target: "/scratch" }],
    local: { command: ["sleep", "30"], environment: {} },
  });
  const stack = await fixture.open([app]);
  const { notes } = await fixture.start(stack, app);
  for (const key of ["read_only", "init", "/scratch"])
    expect(notes.some((note) => note.startsWith(`${key} `))).toBe(true);
});
