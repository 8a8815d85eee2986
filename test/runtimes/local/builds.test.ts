/** Build commands of a Dockerfile, run by real processes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Fixture, service } from "./support/fixture.js";

let fixture: Fixture;
beforeEach(() => {
  fixture = new Fixture();
});
afterEach(() => fixture.close());

const DOCKERFILE = `
FROM python:3
WORKDIR /app
COPY . .
RUN python3 -S -c "open('result.txt', 'a').write('built')"
CMD ["python3", "-S", "-u", "-c", "import time; print(open('result.txt').read()); time.sleep(60)"]
`;

const builds = () => fixture.host.ran?.filter((argv) => argv.join(" ").includes("'a'")).length;

it("build commands run once for a preparation and its start, and again for a later start", async () => {
  fixture.file("Dockerfile", DOCKERFILE);
  const web = service("web", { build: { context: fixture.folder, args: {} } });
  const stack = await fixture.open([web]);
  const prepared = await fixture.prepare(stack, web);
  expect(builds()).toBe(1);

  const first = await stack.startService({ ...fixture.startRequest(web), prepared });
  await expect.poll(() => fixture.log("web")).toContain("built");
  expect(builds()).toBe(1);
  await first.stop({ graceMs: 0 });

  const second = await stack.startService(fixture.startRequest(web));
  expect(builds()).toBe(2);
  await second.stop({ graceMs: 0 });
  expect(readFileSync(join(fixture.stateDir, "work/web/src/result.txt"), "utf8")).toBe("built");
});
