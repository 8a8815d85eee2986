import { afterAll, expect, it } from "vitest";
import { Fixture, service } from "./support/fixture.js";

const fixture = new Fixture();
afterAll(() => fixture.close());

it("the notes name the keys of a compose file that have no effect on the local runtime", async () => {
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
