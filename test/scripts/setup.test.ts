/** How setup handles missing packages on different machines. */
import { expect, it } from "vitest";

interface Package {
  debian: string;
}
type Plan =
  | { kind: "nothing" }
  | { kind: "install"; names: string[]; optional: string[][] }
  | { kind: "tell"; message: string };
interface Script {
  SYSTEM_PACKAGES: Package[];
  missingPackages(
    onPath: (program: string) => boolean,
    succeeds: (argv: string[]) => boolean,
    forTests: boolean,
  ): Package[];
  plan(facts: { platform: string; uid: number; apt: boolean; missing: Package[] }): Plan;
}
// Imported by its URL, since a script has no types.
const { missingPackages, plan, SYSTEM_PACKAGES } = (await import(
  new URL("../../scripts/lib/system-packages.mjs", import.meta.url).href
)) as Script;

const nothing = () => false;
const everything = () => true;
const names = (missing: { debian: string }[]): string[] => missing.map(({ debian }) => debian);

it("setup finds missing packages, and those of the tests only with --tests", () => {
  expect(missingPackages(everything, everything, true)).toEqual([]);
  expect(names(missingPackages(nothing, nothing, true))).toEqual(names(SYSTEM_PACKAGES));
  const forUse = names(missingPackages(nothing, nothing, false));
  expect(forUse).toContain("redis-server");
  for (const name of ["busybox", "chromium-headless-shell", "docker.io", "iproute2", "iptables"])
    expect(forUse).not.toContain(name);
  expect(names(missingPackages((program) => program === "valkey-server", everything, false))).toEqual([
    "bubblewrap",
    "passt",
    "util-linux",
  ]);
});

it("setup installs packages as root on Debian, and prints the command elsewhere", () => {
  const missing = missingPackages((program) => !["redis-server", "valkey-server"].includes(program), everything, false);
  const all = missingPackages(nothing, nothing, true);
  const debian = { platform: "linux", apt: true };
  expect(plan({ ...debian, uid: 0, missing: [] })).toEqual({ kind: "nothing" });
  const root = plan({ ...debian, uid: 0, missing: all });
  expect(root).toMatchObject({
    kind: "install",
    optional: [["passt"], ["docker.io"], ["iptables"], ["chromium-headless-shell", "chromium"]],
  });
  expect(root.kind === "install" && root.names).not.toContain("chromium-headless-shell");
  expect(plan({ ...debian, uid: 1000, missing })).toEqual({
    kind: "tell",
    message: "Run once: sudo apt-get install -y --no-install-recommends redis-server",
  });
  expect(plan({ platform: "darwin", apt: false, uid: 501, missing })).toMatchObject({ kind: "tell" });
  const linux = all.filter(({ debian: name }) => ["bubblewrap", "util-linux"].includes(name));
  expect(plan({ platform: "darwin", apt: false, uid: 501, missing: linux })).toEqual({ kind: "nothing" });
  expect(plan({ platform: "linux", apt: false, uid: 0, missing })).toEqual({
    kind: "tell",
    message: "Install with this system's package manager: redis-server for the redis service",
  });
  const browser = all.filter(({ debian: name }) => name === "chromium-headless-shell");
  expect(plan({ platform: "darwin", apt: false, uid: 501, missing: browser })).toEqual({ kind: "nothing" });
});
